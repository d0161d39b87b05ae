package worker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestEvidence(t *testing.T) {
	t.Parallel()
	// A step is a refusal of message and license, or a success of a call that started that long ago.
	type step struct {
		refused string // "refusal message"; the message is its license
		success time.Duration
	}
	refused := func(what string) step { return step{refused: what} }
	succeeded := func(ago time.Duration) step { return step{success: ago + 1} }
	for _, test := range []struct {
		name  string
		steps []step
		want  scope // of the last refusal
	}{
		{"the first", []step{refused("403 a")}, scope{}},
		{"one license again", []step{refused("403 a"), refused("403 a"), refused("403 a")}, scope{repeated: true}},
		{"two licenses", []step{refused("403 a"), refused("403 b")}, scope{repeated: true}},
		{"three licenses", []step{refused("403 a"), refused("403 b"), refused("403 c")}, scope{repeated: true, deployment: true}},
		{"one of three again", []step{refused("403 a"), refused("403 b"), refused("403 c"), refused("403 a")}, scope{repeated: true, deployment: true}},
		{"different refusals", []step{refused("403 a"), refused("404 b"), refused("403 c")}, scope{repeated: true}},
		{"a success between", []step{refused("403 a"), refused("403 b"), succeeded(0), refused("403 c")}, scope{}},
		{"a success since the first", []step{refused("403 a"), succeeded(0), refused("403 a")}, scope{succeeded: true}},
		{"a success since the first of three", []step{refused("403 a"), succeeded(0), refused("403 a"), refused("403 a")}, scope{repeated: true, succeeded: true, local: true}},
		{"a success since the first of three, and another license", []step{refused("403 a"), succeeded(0), refused("403 a"), refused("403 b"), refused("403 a")}, scope{repeated: true, succeeded: true}},
		{"a success that started before the first", []step{refused("403 a"), succeeded(time.Minute), refused("403 a")}, scope{}},
		{"a success since, and another license", []step{refused("403 a"), succeeded(0), refused("403 b"), refused("403 a")}, scope{repeated: true, succeeded: true}},
		{"a success before alone", []step{succeeded(0), refused("403 a"), refused("403 a")}, scope{repeated: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := newEvidence()
				var got scope
				for _, s := range test.steps {
					time.Sleep(time.Second)
					if s.success > 0 {
						e.succeeded(time.Now().Add(-s.success), "other")
						continue
					}
					refusal, id := s.refused[:3], s.refused[4:]
					got = e.refusal(refusal, id, id)
				}
				if got != test.want {
					t.Errorf("got %+v, want %+v", got, test.want)
				}
			})
		})
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	t.Parallel()
	e := newEvidence()
	for n := range 3 * maxRefused {
		e.refusal(fmt.Sprint("code_", n), fmt.Sprint("id_", n), fmt.Sprint("license_", n))
		e.refusal("one", fmt.Sprint("id_", n), fmt.Sprint("license_", n))
	}
	if len(e.rows) > maxRefusals || len(e.refused) > maxRefused || len(e.rows["one"]) > deploymentLicenses {
		t.Errorf("%d refusals, %d messages, %d licenses of one refusal", len(e.rows), len(e.refused), len(e.rows["one"]))
	}
}
