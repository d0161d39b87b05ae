package bulk

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// nothing is a target that accepts everything.
type nothing struct{}

func (nothing) Send(_ context.Context, b Batch) (Answer, error) {
	return Answer{Accepted: len(b.Rows)}, nil
}

func benchJob(b *testing.B, rows int) (Job, *Run) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "rows.csv")
	if err := os.WriteFile(path, []byte(csvOf(rows)), 0o600); err != nil {
		b.Fatal(err)
	}
	j := Job{Path: path, Name: "rows.csv", Journal: path + ".journal", Rejected: path + ".rejected.csv", Target: nothing{}}
	r, err := j.Open("jo", false)
	if err == nil {
		err = r.Preview(b.Context())
	}
	if err != nil {
		b.Fatal(err)
	}
	return j, r
}

// BenchmarkPreview and BenchmarkAct measure what a run costs beside its invocations, for 100,000 rows.
func BenchmarkPreview(b *testing.B) {
	b.ReportAllocs()
	_, r := benchJob(b, 100_000)
	for b.Loop() {
		if err := r.Preview(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAct(b *testing.B) {
	b.ReportAllocs()
	j, r := benchJob(b, 100_000)
	plan, err := os.ReadFile(j.Journal)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := os.WriteFile(j.Journal, plan, 0o600); err != nil {
			b.Fatal(err)
		}
		a, err := r.Begin()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := a.Send(b.Context(), unseen()); err != nil {
			b.Fatal(err)
		}
		a.Close()
	}
}
