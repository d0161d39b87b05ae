// Package bulk turns the rows of a file into requests and sends them in batches: select, freeze, show, confirm, act,
// report.
//
//	file ─► rows (csv.go, ndjson.go) ─► requests (columns.go) ─► plan (plan.go) ─► journal (journal.go) ─► send (act.go)
//
// A preview reads the whole file, asks the target about every row by a dry run, and keeps the result as a plan in the
// journal: which rows are sent, in which batches, and the SHA-256 of each batch. An act sends exactly these rows. It reads the
// file again and compares each batch with the plan before it sends it, so a file that changes in the meantime sends
// nothing unseen. After each batch it writes a line into the journal and syncs it, before the next batch goes. A run that
// is killed continues with the first batch without a line; at most that one batch is sent twice, with the same ids.
//
// The first rows of a run are a canary: act looks at their outcomes before it sends more (outcomes.go).
//
// The package knows no other stage: the caller hands in the target and the source of the outcomes. It holds one batch in
// memory, and a hash of each row.
package bulk

import (
	"context"
	"encoding/json"
	"errors"

	"license-deactivator/internal/deactivation"
)

// Source is the source of the requests of a bulk run, and the first part of their ids.
const Source = "ops"

// Sizes of batches, in rows. The first two are the canary: the run stops if too many of their outcomes fail.
const (
	canaryRows = 10
	secondRows = 40

	// MaxBatchRows is the largest batch.
	MaxBatchRows = 1000
)

const (
	// maxRowBytes bounds one row: the queue's largest message.
	maxRowBytes = 1 << 20

	// maxBatchBytes bounds the rows of one batch; Lambda accepts 6 MB in one invocation. A batch has at least one row, so
	// it never exceeds this size by more than one row.
	maxBatchBytes = 2 << 20
)

// A Batch is one invocation of the target.
type Batch struct {
	DryRun  bool // answer what would be accepted, and do nothing
	Run     string
	By      string // who acts
	Comment string
	Rows    []json.RawMessage
}

// An Answer says what became of a batch's rows.
type Answer struct {
	Accepted int
	Rejected []Rejection // by Index, ascending

	// Outcomes counts the final outcomes of the batch's rows; nil if the target only enqueues.
	Outcomes map[deactivation.Outcome]int
}

// A Rejection is a row that the target did not accept. It holds no value of the row.
type Rejection struct {
	Index   int // in the batch, from 0
	Code    string
	Message string
}

// CodeNotEnqueued is the code of a valid row that the queue did not accept. It may be sent again.
const CodeNotEnqueued = "not_enqueued"

// A Target accepts batches. An error means that it is unknown whether the batch was accepted; it may be sent again.
type Target interface {
	Send(ctx context.Context, b Batch) (Answer, error)
}

// Job is one file, and how and where its rows are sent.
type Job struct {
	Path     string // of the file
	Name     string // of the file, for people
	Journal  string // path of the journal
	Rejected string // path of the file of rejected rows

	Columns Columns
	Target  Target

	// TargetName describes the target. It is a part of the run: a plan for one target is not sent to another.
	TargetName string

	// BatchRows is the size of a batch after the canary, at most MaxBatchRows; 0 means MaxBatchRows.
	BatchRows int

	// Progress is called after each batch; nil disables it.
	Progress func(Progress)
}

// Progress says how far a phase is.
type Progress struct {
	Phase string // one of the Phases
	Done  int64
	Total int64 // of the same unit; 0 if it is not known
	Rows  int64 // that a preview has read
}

// Phases of a run.
const (
	PhasePreview  = "preview"  // bytes of the file
	PhaseSend     = "send"     // rows
	PhaseOutcomes = "outcomes" // rows
)

func (j Job) progress(p Progress) {
	if j.Progress != nil {
		j.Progress(p)
	}
}

// Errors of a run that did not begin, or that stopped. Nothing was sent after them. A caller distinguishes them with
// errors.Is.
var (
	// ErrChanged: the file, the columns or the target differ from the plan in the journal.
	ErrChanged = errors.New("bulk: changed since the preview")
	// ErrStopped: the outcomes of the first rows do not allow to send the rest.
	ErrStopped = errors.New("bulk: stopped")
	// ErrBusy: another process works on the journal.
	ErrBusy = errors.New("bulk: another process works on the journal")
	// ErrJournal: the journal is damaged in other places than its end.
	ErrJournal = errors.New("bulk: the journal is damaged")
	// ErrColumns: the file's columns cannot be mapped to fields.
	ErrColumns = errors.New("bulk: columns")
	// ErrFile: the file cannot be read as rows.
	ErrFile = errors.New("bulk: the file cannot be read")
)
