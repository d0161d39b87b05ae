package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"license-deactivator/internal/console"
)

// Measures of the printed page, in columns.
const (
	ruleWidth    = 100
	headingWidth = 13
	columnWidth  = 44 // the widest column; a longer cell overflows
)

// page prints sections: a heading at the left edge, its lines to the right of it. With keep set it prints nothing and keeps
// them for the console's page, which wraps and aligns them itself.
type page struct {
	w       io.Writer
	heading string
	keep    *[]console.Section
}

func (p *page) section(heading string) {
	p.heading = heading
	if p.keep != nil {
		*p.keep = append(*p.keep, console.Section{Heading: heading})
		return
	}
	fmt.Fprintln(p.w)
}

// kept keeps a block of the present section. It reports false where the page prints.
func (p *page) kept(b console.Block) bool {
	if p.keep == nil {
		return false
	}
	if n := len(*p.keep); n > 0 {
		last := &(*p.keep)[n-1]
		last.Blocks = append(last.Blocks, b)
	}
	return true
}

func (p *page) line(format string, args ...any) {
	if p.kept(console.Block{Text: visible(fmt.Sprintf(format, args...))}) {
		return
	}
	text := fmt.Sprintf("%-*s%s", headingWidth, p.heading, fmt.Sprintf(format, args...))
	p.outside(strings.TrimRight(text, " "))
	p.heading = ""
}

// outside prints a line outside of all sections. It is not kept.
func (p *page) outside(line string) {
	if p.keep != nil {
		return
	}
	line = visible(line)
	indent := headingWidth
	if blanks := len(line) - len(strings.TrimLeft(line, " ")); blanks > 0 {
		indent = blanks
	}
	fmt.Fprintln(p.w, fold(p.w, line, indent+2))
}

// visible replaces the characters that a terminal executes or does not show, so that no value of an event can change
// the output around it: control characters, line breaks, invisible characters and those that reverse the direction of
// writing.
func visible(text string) string {
	var out strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, "<U+%04X>", r)
		}
	}
	return out.String()
}

// prose prints a text of any length, wrapped at the width of the page.
func (p *page) prose(text string) {
	if text == "" || p.kept(console.Block{Text: visible(text)}) {
		return
	}
	for _, line := range wrap(text, pageWidth(p.w)-headingWidth) {
		p.line("%s", line)
	}
}

func wrap(text string, width int) []string {
	var lines []string
	var line string
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// row is one line of aligned columns.
type row []string

// table prints rows with aligned columns. A cell longer than columnWidth shifts the rest of its own row only.
func (p *page) table(rows []row) {
	if p.keep != nil {
		p.keepTable(rows)
		return
	}
	var widths []int
	for _, r := range rows {
		for i, cell := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if n := utf8.RuneCountInString(cell); n <= columnWidth {
				widths[i] = max(widths[i], n)
			}
		}
	}
	for _, r := range rows {
		var text strings.Builder
		for i, cell := range r {
			text.WriteString(cell)
			if i < len(r)-1 {
				text.WriteString(strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(cell), 0)+2))
			}
		}
		p.line("%s", text.String())
	}
}

// keepTable keeps a table.
func (p *page) keepTable(rows []row) {
	if len(rows) == 0 {
		return
	}
	cells := make([][]string, len(rows))
	for i, r := range rows {
		for _, cell := range r {
			cells[i] = append(cells[i], visible(cell))
		}
	}
	p.kept(console.Block{Table: cells})
}
