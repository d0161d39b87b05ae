package main

import (
	"strings"
	"testing"
)

func TestExplainSaysThatAnEventIsTooOld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"off": {nil, []string{"RESULT       accepted: 1 deactivation"}},
		"old enough": {[]string{"--max-event-age", "1h"}, []string{
			`RESULT       stale: the rule "refunded in full" asks for 1 deactivation, but the event of `, " old when it was received, more than 1h. An operator must review it.",
			"REQUESTS     stripe.evt_", "DEAD LETTER  reason stale, detail \"the event of ", `200 OK`, `{"answer":"stale","ids":["stripe.evt_`,
		}},
		"young enough": {[]string{"--max-event-age", "876000h"}, []string{"RESULT       accepted: 1 deactivation"}},
	} {
		code, stdout, stderr := explained(t, "", append([]string{"stripe/full-refund"}, c.args...)...)
		for _, want := range c.want {
			if code != exitDone || stderr != "" || !strings.Contains(strings.Join(strings.Fields(stdout), " "), strings.Join(strings.Fields(want), " ")) {
				t.Errorf("%s: exit code %d %s, %q is not in\n%s", name, code, stderr, want, stdout)
			}
		}
	}
	if code, _, stderr := explained(t, "", "stripe/full-refund", "--max-event-age", "-1h"); code != exitUsage || !strings.Contains(stderr, "hint: give a duration such as 336h") {
		t.Errorf("below 0: exit code %d, %s", code, stderr)
	}
}
