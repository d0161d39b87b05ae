package worker

import (
	"strings"
	"testing"
)

func TestCleanMakesTextFitForTheQueue(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want string }{
		{"plain", "License not found.", "License not found."},
		{"empty", "", ""},
		{"line breaks and controls", "a\r\nb\x00c\u2028d\u009Fe", "a  b c d e"},
		{"what SQS refuses", "a\uFFFEb\uFFFFc", "a b c"},
		{"not UTF-8", "a\xff\xfeb", "a\uFFFDb"},
		{"white space alone is nothing", " \n\t ", ""},
		{"256 characters", strings.Repeat("é", 256), strings.Repeat("é", 256)},
		{"257 characters", strings.Repeat("é", 257), strings.Repeat("é", 255) + "…"},
		{"outside the first plane", "𝄞", "𝄞"},
	} {
		if got := clean(test.text); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
