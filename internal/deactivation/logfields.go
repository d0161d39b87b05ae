package deactivation

// Names of the fields of the log lines. internal/telemetry writes them, and queries of the log use the same constants.
// A field without a value is left out. The log is the record of what was done and why, so no field is renamed without a
// line in CHANGELOG.md.
const (
	// Fields of every line that concerns an event, a request or a message. LogTime is RFC 3339, UTC.

	LogTime   = "timestamp"
	LogText   = "message" // which line it is: LogMessage, LogDelivery, LogDeadLetter or LogFault
	LogID     = "id"      // the request's id; in the line of an event, its source and event id (EventRequestID)
	LogSource = "source"
	LogEvent  = "event"
	LogCause  = "cause"
	LogRule   = "rule"
	// LogOrder holds the order's ids as one text (JoinTexts): CloudWatch Logs Insights flattens a list into order.0, order.1,
	// …, so a query for an id would have to name each, and AWS does not say whether "or" uses an index.
	LogOrder = "order"
	LogRun   = "run" // name of the bulk run
	// LogLicenseHash holds the hashes (HashLicense) of the licenses as one text (JoinTexts).
	LogLicenseHash = "license_hash"
	LogReason      = "reason"
	LogCode        = "code"
	LogDetail      = "detail"
	LogBy          = "by"      // the person who asked for it, as the caller gives it
	LogComment     = "comment" // why, as the caller gives it

	// Fields of the line of a message in one receive. LogMessage is its text.

	LogMessage       = "message"
	LogDecision      = "decision" // one of Decisions
	LogOutcome       = "outcome"
	LogClass         = "class"
	LogAttempts      = "attempts"
	LogLatency       = "latency_ms"
	LogRetryIn       = "retry_in_s"
	LogAction        = "action"
	LogLicense       = "license" // Shorten
	LogUser          = "user"    // HashUser
	LogDevice        = "device"  // Shorten
	LogProduct       = "product"
	LogSecretVersion = "secret_version"
	LogLookup        = "lookup"      // what the look-up found, wrote and read back
	LogReceivedAt    = "received_at" // when the event or the invocation was received: RFC 3339, UTC
	LogOccurredAt    = "occurred_at" // when the event happened, by its own time: RFC 3339, UTC

	// Of a message that a person released.

	LogReleasedBy     = "released_by"
	LogReleasedAt     = "released_at" // RFC 3339, UTC
	LogReleasedReason = "released_reason"

	// Fields of the line of an event of a delivery, or of a direct invocation. LogDelivery is its text.

	LogDelivery     = "delivery"
	LogValues       = "values" // on which the deciding rule matched
	LogAnswer       = "answer"
	LogStatus       = "status"
	LogRequestCount = "request_count"
	LogRequests     = "requests"
	LogMissing      = "missing"
	LogProblem      = "problem"
	LogDryRun       = "dry_run"

	// LogDeadLetter is the text of the line of a dead letter of the webhook: a request, or a whole event. A dead letter
	// of the worker is in the line of its message.

	LogDeadLetter = "dead letter"

	// Fields of the line of a command of licensectl (Audit). LogAudit is its text.

	LogPhase   = "phase"
	LogCommand = "command"
	LogActor   = "actor"

	// Fields of the line of a configuration fault. LogFault is its text.

	LogFault = "configuration fault"
	LogWhat  = "what"
	LogError = "error"
)

// IndexedLogFields lists the fields of the field index of both log groups (template.yaml).
func IndexedLogFields() []string {
	return []string{LogOrder, LogID, LogLicenseHash, LogRun, LogSource}
}

// Decision is what the worker decided to do with a message in one receive.
type Decision string

// The decisions.
const (
	DecisionAct    Decision = "act"    // it made the calls
	DecisionWait   Decision = "wait"   // it wrote nothing in this receive, and tries again
	DecisionHold   Decision = "hold"   // the brake holds it
	DecisionWatch  Decision = "watch"  // watch mode: nothing is written
	DecisionReject Decision = "reject" // it holds no request that can be sent, or its look-up may not be acted on
)

// Decisions lists every decision.
func Decisions() []Decision {
	return []Decision{DecisionAct, DecisionWait, DecisionHold, DecisionWatch, DecisionReject}
}

// EventRequestID is the id of an event as a whole: the ids of its requests without their last part.
func EventRequestID(source, event string) string { return source + "." + event }
