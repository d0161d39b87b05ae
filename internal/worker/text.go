package worker

import (
	"strings"
	"unicode"
)

// maxTextRunes bounds what is told of an answer or of a message that is not ours, in characters: enough for a
// sentence, far below what would make a dead letter too large for the queue.
const maxTextRunes = 256

// clean makes a text fit for a log line and for an SQS attribute: at most maxTextRunes characters, none that SQS
// refuses (control characters, U+FFFE, U+FFFF), no line breaks.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\uFFFE' || r == '\uFFFF' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.TrimSpace(text)
	if runes := []rune(text); len(runes) > maxTextRunes {
		text = string(runes[:maxTextRunes-1]) + "…"
	}
	return text
}

// cleanAll cleans each text.
func cleanAll(texts []string) []string {
	var cleaned []string
	for _, text := range texts {
		cleaned = append(cleaned, clean(text))
	}
	return cleaned
}
