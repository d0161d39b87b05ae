package bulk

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

var (
	// scientific is how a spreadsheet writes a long number: 1.23457E+15, with a comma in some languages. The sign is always
	// there, so that a hexadecimal id such as 5e12 is none.
	scientific = regexp.MustCompile(`^[+-]?\d(?:[.,]\d+)?[eE][+-]\d{2,3}$`)

	// formulaError is the value of a formula that failed.
	formulaError = regexp.MustCompile(`^#(?:REF!|N/A|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!)$`)
)

// cell returns the text that a cell means. It removes the white space around it, and the ="…" by which a spreadsheet
// keeps leading zeros. why is not empty if a spreadsheet or its encoding has destroyed the value; it does not hold the value.
func cell(raw string) (text, why string) {
	text = strings.TrimSpace(raw)
	if inner, isText := strings.CutPrefix(text, `="`); isText && strings.HasSuffix(inner, `"`) {
		text = strings.TrimSpace(strings.ReplaceAll(inner[:len(inner)-1], `""`, `"`))
	}
	return text, spoiled(text)
}

// spoiled says what a spreadsheet did to a value, "" for nothing. Reading replaces bytes that are not UTF-8 by U+FFFD.
func spoiled(text string) string {
	switch {
	case text == "":
		return ""
	case strings.ContainsRune(text, utf8.RuneError):
		return "holds bytes that are not UTF-8; save the file as CSV UTF-8"
	case text[0] != '#' && text[0] != '=' && !strings.ContainsAny(text, "+-"):
		return "" // neither of those below
	case isNumberStart(text[0]) && scientific.MatchString(text):
		return "is a number in scientific notation, whose last digits are lost; format the column as text and export it again"
	case text[0] == '#' && formulaError.MatchString(text):
		return "is the error of a formula; correct the formula and export it again"
	case text[0] == '=':
		return "is a formula; export values"
	case len(text) > 1 && strings.Trim(text, "#") == "":
		return "is what a spreadsheet shows for a column that is too narrow; widen it and export it again"
	}
	return ""
}

// isNumberStart reports whether a number may begin with the character: most cells with a hyphen are ids, and an expression
// takes longer.
func isNumberStart(c byte) bool { return '0' <= c && c <= '9' || c == '+' || c == '-' }
