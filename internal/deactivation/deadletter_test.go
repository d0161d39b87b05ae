package deactivation_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
)

func TestADeadLetterIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	want := deactivation.DeadLetter{
		Reason: deactivation.ReasonRejected, Code: "license_not_found", Detail: "License not found.", Attempts: 3,
		FailedAt: time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC), Source: "stripe", RequestID: "stripe.evt_3Nx.0",
	}
	written := want.Attributes()
	if diff := cmp.Diff(map[string]string{
		"reason": "rejected", "code": "license_not_found", "detail": "License not found.", "attempts": "3",
		"failed_at": "2026-11-29T10:00:00Z", "source": "stripe", "request_id": "stripe.evt_3Nx.0",
	}, written); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, deactivation.ParseDeadLetter(written)); diff != "" {
		t.Error(diff)
	}
}

func TestADeadLetterHasNoEmptyAttribute(t *testing.T) {
	t.Parallel()
	got := deactivation.DeadLetter{Reason: deactivation.ReasonInvalid, Detail: " \n"}.Attributes()
	if diff := cmp.Diff(map[string]string{"reason": "invalid"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestALetterWithoutAttributesIsExhausted(t *testing.T) {
	t.Parallel()
	if got := deactivation.ParseDeadLetter(nil); got != (deactivation.DeadLetter{Reason: deactivation.ReasonExhausted}) {
		t.Errorf("got %+v", got)
	}
}

func TestWhatIsUnreadableInALetterStaysZero(t *testing.T) {
	t.Parallel()
	got := deactivation.ParseDeadLetter(map[string]string{"reason": "rejected", "attempts": "many", "failed_at": "yesterday"})
	if got != (deactivation.DeadLetter{Reason: deactivation.ReasonRejected}) {
		t.Errorf("got %+v", got)
	}
}

func TestCleanTextMakesTextFitForTheQueue(t *testing.T) {
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
		if got := deactivation.CleanText(test.text); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
