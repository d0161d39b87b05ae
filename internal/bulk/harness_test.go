package bulk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"license-deactivator/internal/deactivation"
)

// target is a webhook function: it accepts what its own validation accepts, and keeps the ids of what was enqueued.
type target struct {
	mu       sync.Mutex
	ids      []string
	sizes    []int // of the batches that were enqueued
	dryRuns  int
	refuse   map[string]string    // license key to a code, in addition to the validation
	failures map[int]error        // by the number of the batch that is enqueued, from 1
	settle   deactivation.Outcome // not "": the target waits for this outcome of every row
	before   func(batch int)      // called before a batch is enqueued
	hold     map[string]int       // license key to how often the queue does not accept it
}

func (f *target) Send(_ context.Context, b Batch) (Answer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var answer Answer
	var ids []string
	for i, raw := range b.Rows {
		row, err := deactivation.ReadRow(raw)
		r := row.Request(Source, row.OccurredAt)
		if err == nil {
			err = cmp.Or(r.Validate(), r.CheckSendable())
		}
		p := problem{}
		if err != nil {
			p = problemOf(err)
		} else if code := f.refuse[r.LicenseKey]; code != "" {
			p = problem{code, "license_key: refused by the test"}
		} else if !b.DryRun && f.hold[r.LicenseKey] > 0 {
			f.hold[r.LicenseKey]--
			p = problem{CodeNotEnqueued, "the queue did not accept it; send it again"}
		}
		if p.code != "" {
			answer.Rejected = append(answer.Rejected, Rejection{i, p.code, p.message})
			continue
		}
		ids = append(ids, r.ID)
	}
	answer.Accepted = len(ids)
	if b.DryRun {
		f.dryRuns++
		return answer, nil
	}
	if f.before != nil {
		f.before(len(f.sizes) + 1)
	}
	f.sizes = append(f.sizes, len(b.Rows))
	if err := f.failures[len(f.sizes)]; err != nil {
		return Answer{}, err
	}
	f.ids = append(f.ids, ids...)
	if f.settle != "" {
		answer.Outcomes = map[deactivation.Outcome]int{f.settle: len(ids)}
	}
	return answer, nil
}

// distinct are the ids that were enqueued, each once.
func (f *target) distinct() []string {
	ids := slices.Clone(f.ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// newJob is a job of a file with that content.
func newJob(t *testing.T, content string, to Target) Job {
	t.Helper()
	path := filepath.Join(t.TempDir(), "refunds.csv")
	write(t, path, content)
	return Job{Path: path, Name: "refunds.csv", Journal: path + ".journal", Rejected: path + ".rejected.csv", Target: to, TargetName: "test"}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// preview makes the plan of a job.
func preview(t *testing.T, j Job) *Run {
	t.Helper()
	r, err := j.Open("jo", false)
	if err == nil {
		err = r.Preview(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// act opens the journal again, as another process does, and sends.
func act(t *testing.T, j Job, s Sending) (Report, error) {
	t.Helper()
	r, err := j.Open("jo", true)
	if err != nil {
		return Report{}, err
	}
	a, err := r.Begin()
	if err != nil {
		return Report{}, err
	}
	defer a.Close()
	if err := a.Audit(deactivation.Audit{Phase: deactivation.AuditBegin, Actor: "jo", Comment: "test"}); err != nil {
		return Report{}, err
	}
	return a.Send(t.Context(), s)
}

// unseen sends without a look at the outcomes.
func unseen() Sending { return Sending{By: "jo", Comment: "test", Canary: Canary{Off: true}} }

// csvOf is a file with that many valid rows.
func csvOf(rows int) string {
	var b strings.Builder
	b.WriteString("product,license_key,hardware_id\n")
	for i := range rows {
		b.WriteString(rowOf(i))
	}
	return b.String()
}

func rowOf(i int) string {
	n := string(rune('A'+i%26)) + strings.Repeat("0", 3)
	return "XY,KEY-" + n + "-" + itoa(i) + ",device-" + itoa(i) + "\n"
}

func itoa(n int) string {
	text, _ := json.Marshal(n)
	return string(text)
}

var errTest = errors.New("the test's own error")
