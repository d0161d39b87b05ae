package console

import (
	"context"
	"errors"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

// Status is read for the overview.
type Status interface {
	// Overview returns the state of the system, with counts since that time. A part that cannot be read is left at its zero
	// value, and Notes says why; an error means that nothing can be read.
	Overview(ctx context.Context, since time.Time) (Overview, error)
}

// Overview is the state of the system. A pointer is nil where the value is not known.
type Overview struct {
	Mode   string // "act" or "watch"; "" if it is not known
	LookUp string // "on" or "off"; "" if it is not known

	Queue       *Depth
	DeadLetters *Depth

	Deliveries []Count // by Source and Name, an answer (deactivation.Answer)
	Outcomes   []Count // of messages, by Name, an outcome (deactivation.Outcome)

	License    *Rate // calls to the License API
	Management *Rate // calls to the Management API; nil also with the look-up off

	// Brake is SURGE_LIMIT, licenses of a source in an hour; 0: no brake. nil: not known.
	Brake *int

	Notes []string // what could not be read and why, and what a person has to know of the numbers
}

// Depth is how many messages a queue holds.
type Depth struct {
	Visible int // waiting
	Hidden  int // in flight, or deferred
}

// Count is a number of deliveries or messages.
type Count struct {
	Source string // "" where it is not counted by source
	Name   string
	N      int
}

// Rate is a number of calls over time beside its limit.
type Rate struct {
	Limit  float64       // calls in one Step; 0: not known
	Step   time.Duration // the time that each element of Calls covers
	Calls  []float64     // oldest first; the last element is the present step, which is not over yet
	Counts string        // what is counted, in a few words: "answers to messages"
}

// History answers what became of something, as `licensectl why` does.
type History interface {
	// Ask answers a question from the log lines since that time. history.OfLatest asks for everything.
	Ask(ctx context.Context, q history.Question, since time.Time) (history.Answer, error)
}

// Explainer explains how an event was decided, as `licensectl explain` does.
type Explainer interface {
	// Explain explains the event with that id (source and event id, as a line of the history has it; or the id of one of its
	// requests). The error is ErrNoBody if the event's body is not kept anywhere.
	Explain(ctx context.Context, id string) (Explanation, error)
}

// ErrNoBody is the error of Explain for an event whose body is not kept. Its rule and values are in the history.
var ErrNoBody = errors.New("console: the body of the event is not kept")

// Explanation is a text in sections.
type Explanation struct {
	Name     string // what is explained
	About    string // what happened, in a sentence; "" for none
	Sections []Section
}

// Section is a heading and what is below it.
type Section struct {
	Heading string // in capitals, as licensectl prints it: RESULT, RULES
	Blocks  []Block
}

// Block is a text, or a table.
type Block struct {
	Text  string     // one line, with its indent
	Table [][]string // rows of cells
}

// Letters works on the dead-letter queue, as `licensectl dlq` does.
type Letters interface {
	// List returns the letters that the filter chooses, the oldest first.
	List(ctx context.Context, f LetterFilter) (LetterList, error)
	// Show returns one letter by an id of LetterFilter.IDs. The error wraps ErrNoLetter if there is no visible one.
	Show(ctx context.Context, id string) (Letter, error)
	// Plan says what an act would do, and does nothing.
	Plan(ctx context.Context, a Act) (Plan, error)
	// Do does an act. It makes the plan again and does nothing if that differs from the confirmed one: the error then wraps
	// ErrStale, or ErrCount for a wrong count.
	Do(ctx context.Context, a Act, c Confirmation) (Result, error)
}

// Errors of Letters.
var (
	ErrNoLetter = errors.New("console: no visible letter has this id")
	ErrStale    = errors.New("console: the letters have changed since the plan was made: nothing was done")
	ErrCount    = errors.New("console: the typed count is not the plan's: nothing was done")
)

// LetterFilter chooses letters; the zero value chooses all.
type LetterFilter struct {
	Reason deactivation.Reason
	Code   string
	// NoCode chooses letters without a code; Code is then "".
	NoCode bool
	Source string
	// NoSource chooses letters whose sender is not known; Source is then "".
	NoSource bool
	Order    string
	IDs      []string // of the request or the event, or the queue's message id
}

// LetterList is what a look at the dead-letter queue has found.
type LetterList struct {
	Seen    int // letters in the queue that were received
	Letters []Letter
	Notes   []string // what the look did not see
}

// Letter is a dead letter for a person.
type Letter struct {
	ID        string // of its request or event; else the queue's message id
	MessageID string
	Reason    deactivation.Reason
	Code      string
	Detail    string
	Source    string
	Attempts  int
	At        time.Time
	Kind      string // "request", "event" or "foreign"
	Orders    []string

	Is      string // what the reason and the code mean
	ToDo    string // what a person does about it
	Redrive string // what a redrive does with it, in a sentence
	Way     string // "unchanged", "released", "mapped" or "kept"
	Command string // the command of licensectl that finishes it

	// Only Show fills in the rest.

	Content [][2]string // names and values: of the request or of the event, keys shortened
	Drafts  []Draft     // of an event, its requests as far as the sender's file can read them
}

// Draft is a request that a person may complete.
type Draft struct {
	ID      string
	Missing []string
	Problem string
	Fields  []Field
}

// Field is a field of a draft, by the License API's name.
type Field struct {
	Name  string
	Value string // of the event; shortened where it names a license or a device
}

// What an Act does.
const (
	DoRedrive = "redrive" // send to the queue, then delete; letters that wait for a release are released
	DoPurge   = "purge"   // delete
)

// Act is something to do with letters.
type Act struct {
	Do     string // DoRedrive or DoPurge
	Filter LetterFilter
	Remap  bool // of events: map them anew with today's files
	// Set completes the requests of the event that Filter.IDs chooses: values by request id, and by field. A field that is
	// not there keeps the event's value. A nil map completes nothing; one without a request of the event leaves that one out.
	Set map[string]map[string]string
}

// Plan is what an act would do.
type Plan struct {
	Hash    string // identifies the letters and what is sent in their place
	Count   int    // letters that are sent or deleted; the number that the person types
	Groups  []PlanGroup
	Kept    []KeptLetters
	Changes []Change // of events that are mapped anew or completed
	Notes   []string // what a person must know before
}

// PlanGroup is letters of a plan that are alike.
type PlanGroup struct {
	Reason deactivation.Reason
	Code   string
	Source string
	How    string // "unchanged", "released", "mapped", "purged" or "kept"
	Count  int
	Oldest time.Time
	Newest time.Time
}

// KeptLetters are letters that the act leaves where they are.
type KeptLetters struct {
	Count int
	Why   string
}

// Change is an event as it was and as what is sent in its place.
type Change struct {
	ID     string
	Before string
	After  []string
}

// Confirmation is what a person gives to act on a plan.
type Confirmation struct {
	Hash    string
	Count   int    // as it was typed
	Comment string // the reason; never empty
}

// Result is what an act did.
type Result struct {
	Of      int    // letters of the plan
	Done    int    // redriven or purged
	Problem string // why some were not; "" if all were
	Hint    string
}

// Samples sends the samples of events/. It is nil where there are none to send.
type Samples interface {
	Samples() []Sample
	// Send sends a sample as its sender does, by its Name.
	Send(ctx context.Context, name string) (Sent, error)
}

// Sample is a delivery as its sender posts it.
type Sample struct {
	Name   string // "stripe/full-refund"
	Source string
	About  string // what happened at the store
}

// Sent is the answer to a sample.
type Sent struct {
	Status int    // HTTP status
	ID     string // of the event in the history; "" if the answer does not tell
}
