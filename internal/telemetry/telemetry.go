// Package telemetry writes the output for operators: one log line for every message and receive, one for every
// delivery, one for every dead letter of the webhook, one for every configuration fault, and the metrics that the alarms
// watch. internal/history reads the lines: they are the record of what was done, when, and why.
//
// Lines are JSON in Lambda's own log format (timestamp, level, message, requestId, then our keys in snake_case), so
// that Lambda neither wraps them nor changes their level:
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html
//
// Metrics are separate lines in the embedded metric format (emf.go). They have no level, so Lambda treats them as INFO:
// a function whose ApplicationLogLevel is above INFO loses them.
//
// Callers pass shortened license keys and scrubbed texts, so no secret reaches this package. Texts from outside
// (source, event id, details) are cut to a bounded length before they are written.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"license-deactivator/internal/deactivation"
)

// maxTextRunes bounds every text of a line. Our own texts are never longer than deactivation.MaxFieldRunes, so only
// texts from outside are cut.
const maxTextRunes = deactivation.MaxFieldRunes

// maxListed bounds the ids in a delivery's line. A direct invocation of 6 MB holds some 30,000 requests, whose ids
// would exceed CloudWatch's 1 MiB for one event; request_count gives their number.
const maxListed = 50

// maxLongRunes bounds the report of a look-up and the values of a rule: fifty texts of the longest accepted length and the
// blanks between them.
const maxLongRunes = maxListed * (maxTextRunes + 1)

// Texts of the lines. They are constants of this package, since sloglint does not check those of another one.
const (
	lineMessage    = deactivation.LogMessage
	lineDelivery   = deactivation.LogDelivery
	lineDeadLetter = deactivation.LogDeadLetter
	lineFault      = deactivation.LogFault
)

// Message is the outcome of one message in one receive.
type Message struct {
	ID      string // the request's id; the queue's message id where the body holds none
	Source  string
	Event   string // the sender's event id; "" for a direct invocation
	Run     string // name of the bulk run; "" for none
	Cause   string
	Rule    string
	Outcome deactivation.Outcome
	// Decision is what the worker decided to do in this receive.
	Decision deactivation.Decision
	Reason   deactivation.Reason // of the dead letter; "" for none
	Order    []string            // the ids by which the order can be found
	Class    string              // of the API's answer: licenseapi.Kind as a text; "" without a call
	Code     string              // the API's code, http_<status> or a word for a network error; "" without a call
	Detail   string              // why, for a person; the caller has scrubbed it
	// Attempts is how often the queue has handed the message out, including this time.
	Attempts int
	// Age is the time since the message was sent; 0 if that is not known.
	Age time.Duration
	// Returned says that a deferred message was not called for lack of time, in an invocation that called for others.
	Returned bool
	// AtFault says that a configuration fault of this message alone defers it (PartialFault).
	AtFault bool
	Latency time.Duration // of the deciding call; 0 without a call
	RetryIn time.Duration // of a deferred message: when the queue hands it out again; 0 means at once
	Action  string        // of the request
	License string        // shortened already (deactivation.Shorten)
	// LicenseHashes are the hashes (deactivation.HashLicense) of the licenses that the message concerns.
	LicenseHashes []string
	User          string // hashed already (deactivation.HashUser)
	Device        string // shortened already (deactivation.Shorten)
	Product       string
	KeyVersion    string // version of the secret that signed the call; "" without a signature
	Lookup        string // what the look-up found, wrote and read back, in one line; "" without a look-up
	LookupShort   string // the same in a few words, for a table
	// LookupEnd is why the look-up has ended: one of the LookUp… constants, or the code or reason of the dead letter. "" without
	// a look-up, and for one that is to be repeated. LookupMapped says that a source's file took the ids from an event, so that
	// a wrong file would find nothing.
	LookupEnd    string
	LookupMapped bool

	By, Comment            string    // of a direct invocation: who asked for it, and why
	ReceivedAt, OccurredAt time.Time // of the event or the invocation; zero where not known

	Released deactivation.Release // by whom, when and why; zero for a message that was not released
}

// Delivery is the answer to one delivery or direct invocation.
type Delivery struct {
	ID       string // source and event id (deactivation.EventRequestID); of a direct invocation with one request, its id
	Source   string
	Event    string // the sender's event id
	Cause    string // of its requests
	Rule     string // name of the deciding rule
	Values   string // the values on which that rule matched, in one line
	Answer   deactivation.Answer
	Order    []string // the ids by which the order can be found, with every answer
	Code     string   // what is wrong with it; counted where an alarm watches it (deactivation.DeliveryCodes)
	Status   int      // HTTP status; 0 for a direct invocation
	Requests []string // ids of the requests that were enqueued
	// LicenseHashes are the hashes (deactivation.HashLicense) of the licenses of an event's requests.
	LicenseHashes []string
	ReceivedAt    time.Time // zero for a refused delivery. The worker may log a request before this line is written
	Missing       []string  // of an unmappable event: the fields that every license lacked
	Problem       string    // why it was refused, or is kept for an operator; never holds what was sent

	// Fields of a direct invocation: what its caller gives, and whether it is a dry run, which enqueues nothing.
	// Requests are then those that would be enqueued, and are not counted.
	Run, By, Comment string
	DryRun           bool
}

// Recorder writes lines and counts metrics. It is safe for concurrent use. Make it with New.
type Recorder struct {
	logger   *slog.Logger
	w        io.Writer
	function string

	mu     sync.Mutex
	counts map[series]*count
	faulty bool // Fault has been called since the last Flush
}

// New returns a Recorder that writes to w, one line per Write. Lines below level are left out; metrics are always
// written. function is the Lambda function's name and the metrics' dimension "service". "" disables metrics, since
// CloudWatch refuses an empty dimension (licensectl local has none).
func New(w io.Writer, level slog.Level, function string) *Recorder {
	shared := &lockedWriter{w: w}
	lines := slog.NewJSONHandler(shared, &slog.HandlerOptions{Level: level, ReplaceAttr: lambdacontext.ReplaceAttr})
	return &Recorder{
		logger:   slog.New(requestIDHandler{lines}),
		w:        shared,
		function: function,
		counts:   make(map[series]*count),
	}
}

// Logger returns the logger behind the lines, for texts that belong to neither a message nor a delivery. It adds the
// Lambda request id of a context that has one.
func (r *Recorder) Logger() *slog.Logger { return r.logger }

// SetDefault makes the recorder's logger the default of the packages log and slog. Output of package log, such as
// log.Fatal at a failed start, then becomes a line of level ERROR in the same format. It is for main.
func (r *Recorder) SetDefault() {
	slog.SetDefault(r.logger)
	slog.SetLogLoggerLevel(slog.LevelError)
}

// Message writes the line of a message and counts it under its outcome: WARN for rejected, which a person has to
// review, INFO for every other outcome. A rejected message is a dead letter, too: its line is written when the
// dead-letter queue has accepted it.
func (r *Recorder) Message(ctx context.Context, m Message) {
	r.add(series{metric: MetricMessages, dimension: DimensionOutcome, value: string(m.Outcome)}, 1, m.Latency)
	if m.Class != "" {
		r.add(series{metric: MetricAnswers, dimension: DimensionOutcome, value: m.Class}, 1, 0)
	}
	if m.Outcome == deactivation.Rejected {
		r.deadLetter(m)
	}
	if m.LookupEnd != "" {
		r.countLookup(m)
	}
	if isStalled(m) {
		r.add(series{metric: MetricMessages, dimension: dimensionCode, value: CodeStalled}, 1, 0)
	}

	level := slog.LevelInfo
	if m.Outcome == deactivation.Rejected {
		level = slog.LevelWarn
	}
	attrs := texts(
		deactivation.LogID, m.ID, deactivation.LogSource, m.Source, deactivation.LogEvent, m.Event, deactivation.LogRun, m.Run,
		deactivation.LogCause, m.Cause, deactivation.LogRule, m.Rule, deactivation.LogDecision, string(m.Decision),
		deactivation.LogOutcome, string(m.Outcome), deactivation.LogReason, string(m.Reason),
		deactivation.LogClass, m.Class, deactivation.LogCode, m.Code, deactivation.LogDetail, m.Detail,
	)
	attrs = append(attrs, joined(deactivation.LogOrder, m.Order)...)
	attrs = append(attrs, joined(deactivation.LogLicenseHash, m.LicenseHashes)...)
	attrs = append(attrs, slog.Int(deactivation.LogAttempts, m.Attempts))
	if m.Latency > 0 {
		attrs = append(attrs, slog.Float64(deactivation.LogLatency, milliseconds(m.Latency)))
	}
	if m.Outcome == deactivation.Deferred {
		attrs = append(attrs, slog.Float64(deactivation.LogRetryIn, m.RetryIn.Seconds()))
	}
	attrs = append(attrs, texts(
		deactivation.LogAction, m.Action, deactivation.LogLicense, m.License, deactivation.LogUser, m.User,
		deactivation.LogDevice, m.Device, deactivation.LogProduct, m.Product, deactivation.LogSecretVersion, m.KeyVersion,
		deactivation.LogBy, m.By, deactivation.LogComment, m.Comment,
		deactivation.LogReceivedAt, stamp(m.ReceivedAt), deactivation.LogOccurredAt, stamp(m.OccurredAt))...)
	attrs = append(attrs, long(deactivation.LogLookup, m.Lookup)...)
	if !m.Released.IsZero() {
		attrs = append(attrs, texts(
			deactivation.LogReleasedBy, m.Released.By, deactivation.LogReleasedAt, stamp(m.Released.At),
			deactivation.LogReleasedReason, m.Released.Reason)...)
	}
	r.logger.LogAttrs(ctx, level, lineMessage, attrs...)
}

// DeadLetter counts a message that the dead-letter queue has accepted. It writes no line: the message has one.
func (r *Recorder) DeadLetter(reason deactivation.Reason) { r.deadLetter(Message{Reason: reason}) }

func (r *Recorder) deadLetter(m Message) {
	r.add(series{metric: metricDeadLetters, dimension: dimensionReason, value: string(m.Reason), detailed: hasOwnAlarm(m)}, 1, 0)
}

// DeadLetter is a message that the webhook put into the dead-letter queue: a request, or a whole event.
type DeadLetter struct {
	ID     string // the request's id, or source and event id of an event
	Source string
	Event  string
	Run    string
	Cause  string // of a request
	Rule   string
	Reason deactivation.Reason
	Code   string
	Detail string
	Order  []string

	Action        string // of a request, like the fields below
	License       string // shortened already (deactivation.Shorten)
	LicenseHashes []string
	User          string // hashed already (deactivation.HashUser)
	Device        string // shortened already (deactivation.Shorten)
	Product       string
}

// WebhookDeadLetter writes the line of a dead letter of the webhook, level WARN, and counts it.
func (r *Recorder) WebhookDeadLetter(ctx context.Context, l DeadLetter) {
	r.DeadLetter(l.Reason)
	attrs := texts(
		deactivation.LogID, l.ID, deactivation.LogSource, l.Source, deactivation.LogEvent, l.Event, deactivation.LogRun, l.Run,
		deactivation.LogCause, l.Cause, deactivation.LogRule, l.Rule, deactivation.LogReason, string(l.Reason),
		deactivation.LogCode, l.Code, deactivation.LogDetail, l.Detail, deactivation.LogAction, l.Action,
		deactivation.LogLicense, l.License, deactivation.LogUser, l.User, deactivation.LogDevice, l.Device, deactivation.LogProduct, l.Product,
	)
	attrs = append(attrs, joined(deactivation.LogOrder, l.Order)...)
	attrs = append(attrs, joined(deactivation.LogLicenseHash, l.LicenseHashes)...)
	r.logger.LogAttrs(ctx, slog.LevelWarn, lineDeadLetter, attrs...)
}

// Delivery writes the line of a delivery and counts it under its answer, and under its code if it has one. The level is
// ERROR for our own fault (5xx), WARN when an operator has to review it (refused, unmappable, stale, reversed), else
// INFO.
func (r *Recorder) Delivery(ctx context.Context, d Delivery) {
	r.add(series{metric: metricDeliveries, dimension: DimensionOutcome, value: string(d.Answer)}, 1, 0)
	if slices.Contains(deactivation.DeliveryCodes(), d.Code) {
		r.add(series{metric: metricDeliveries, dimension: dimensionCode, value: d.Code}, 1, 0)
	}
	if len(d.Requests) > 0 && !d.DryRun {
		r.add(series{metric: metricRequests, dimension: DimensionOutcome, value: string(d.Answer)}, len(d.Requests), 0)
	}

	level := slog.LevelInfo
	switch {
	case d.Status >= 500:
		level = slog.LevelError
	case d.Answer != deactivation.Accepted && d.Answer != deactivation.Ignored:
		level = slog.LevelWarn
	}
	attrs := texts(
		deactivation.LogID, d.ID, deactivation.LogSource, d.Source, deactivation.LogEvent, d.Event, deactivation.LogCause, d.Cause,
		deactivation.LogRule, d.Rule, deactivation.LogAnswer, string(d.Answer), deactivation.LogCode, d.Code,
	)
	attrs = append(attrs, long(deactivation.LogValues, d.Values)...)
	attrs = append(attrs, joined(deactivation.LogOrder, d.Order)...)
	attrs = append(attrs, joined(deactivation.LogLicenseHash, d.LicenseHashes)...)
	if d.Status != 0 {
		attrs = append(attrs, slog.Int(deactivation.LogStatus, d.Status))
	}
	if len(d.Requests) > 0 {
		attrs = append(attrs, slog.Int(deactivation.LogRequestCount, len(d.Requests)), list(deactivation.LogRequests, d.Requests))
	}
	if len(d.Missing) > 0 {
		attrs = append(attrs, list(deactivation.LogMissing, d.Missing))
	}
	attrs = append(attrs, texts(
		deactivation.LogProblem, d.Problem, deactivation.LogRun, d.Run, deactivation.LogBy, d.By, deactivation.LogComment, d.Comment,
		deactivation.LogReceivedAt, stamp(d.ReceivedAt))...)
	if d.DryRun {
		attrs = append(attrs, slog.Bool(deactivation.LogDryRun, true))
	}
	r.logger.LogAttrs(ctx, level, lineDelivery, attrs...)
}

// Fault writes an ERROR line for a configuration fault and counts it in the metric that the alarm watches. what says
// what is wrong and what to do. err is the evidence without secrets, or nil.
func (r *Recorder) Fault(ctx context.Context, what string, err error) {
	r.mu.Lock()
	r.faulty = true
	r.mu.Unlock()
	r.PartialFault(ctx, what, err)
}

// PartialFault is Fault for one that concerns only the messages with AtFault. Others still count as stalled.
func (r *Recorder) PartialFault(ctx context.Context, what string, err error) {
	r.add(series{metric: metricFaults}, 1, 0)
	attrs := []slog.Attr{slog.String(deactivation.LogWhat, what)}
	if err != nil {
		attrs = append(attrs, texts(deactivation.LogError, err.Error())...)
	}
	r.logger.LogAttrs(ctx, slog.LevelError, lineFault, attrs...)
}

// requestIDHandler adds Lambda's request id, under the key that Lambda's own lines use.
type requestIDHandler struct{ slog.Handler }

func (h requestIDHandler) Handle(ctx context.Context, record slog.Record) error {
	if lambda, ok := lambdacontext.FromContext(ctx); ok {
		record = record.Clone() // a record may share its attributes with other handlers
		record.AddAttrs(slog.String("requestId", lambda.AwsRequestID))
	}
	return h.Handler.Handle(ctx, record)
}

func (h requestIDHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestIDHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestIDHandler) WithGroup(name string) slog.Handler {
	return requestIDHandler{h.Handler.WithGroup(name)}
}

// lockedWriter keeps log lines and metric lines apart: slog locks only its own writes.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// roomForMore is the number of attributes that a line has beside its first texts.
const roomForMore = 6

// texts makes attributes from pairs of name and value and leaves out the empty ones.
func texts(pairs ...string) []slog.Attr {
	attrs := make([]slog.Attr, 0, len(pairs)/2+roomForMore)
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			attrs = append(attrs, slog.String(pair[0], bounded(pair[1])))
		}
	}
	return attrs
}

func list(name string, values []string) slog.Attr { return slog.Any(name, listed(values)) }

// joined is a list as one text (deactivation.JoinTexts); nothing for an empty list.
func joined(name string, items []string) []slog.Attr {
	text := deactivation.JoinTexts(items)
	if text == "" {
		return nil
	}
	return []slog.Attr{slog.String(name, text)}
}

// long is a text of our own, up to maxLongRunes; nothing for an empty one.
func long(name, text string) []slog.Attr {
	if text == "" {
		return nil
	}
	return []slog.Attr{slog.String(name, cut(text, maxLongRunes))}
}

// stamp is a time in the form of the lines: RFC 3339, UTC; "" for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// listed bounds the number of texts and the length of each.
func listed(values []string) []string {
	out := make([]string, 0, min(len(values), maxListed))
	for _, v := range values[:cap(out)] {
		out = append(out, bounded(v))
	}
	return out
}

// bounded cuts a text to maxTextRunes characters; the last one is then "…".
func bounded(text string) string { return cut(text, maxTextRunes) }

// cut shortens a text to at most that many characters; the last one is then "…".
func cut(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
