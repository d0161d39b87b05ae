package deactivation_test

import (
	"slices"
	"strings"
	"testing"

	"license-deactivator/internal/deactivation"
)

// TestJoinedTextsAreTheSameWhenTheyAreSplit: also those with a blank, a percent sign, or what looks like an escaped one.
func TestJoinedTextsAreTheSameWhenTheyAreSplit(t *testing.T) {
	t.Parallel()
	for _, texts := range [][]string{
		nil, {"1001"}, {"pi_1", "ch_1"}, {"1001 copy", "1001"}, {"50%", "50%20", "50%25", "%", "%%20 "}, {"a\u00a0b", "訂單 1"},
	} {
		joined := deactivation.JoinTexts(texts)
		want := slices.Clone(texts)
		for i := range want {
			want[i] = deactivation.CleanText(want[i])
		}
		if got := deactivation.SplitTexts(joined); !slices.Equal(got, want) {
			t.Errorf("%q joined is %q, and split %q", texts, joined, got)
		}
	}
	if got := deactivation.JoinTexts([]string{"1001 copy", "", " ", "50%"}); got != "1001%20copy 50%25" {
		t.Errorf("joined %q", got)
	}
	many := make([]string, 60)
	for i := range many {
		many[i] = strings.Repeat(" x", 300)
	}
	if got := deactivation.SplitTexts(deactivation.JoinTexts(many)); len(got) != 50 || got[49] != deactivation.CleanText(many[0]) {
		t.Errorf("%d texts", len(got))
	}
}
