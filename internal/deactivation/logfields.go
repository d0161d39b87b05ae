package deactivation

// Names of the fields of the log lines. internal/telemetry writes them, and queries of the log use the same constants.
// A field without a value is left out.
const (
	// Fields of both lines.

	LogSource = "source"
	LogRule   = "rule"
	// LogOrder holds the order's ids as one text, separated by one blank each: CloudWatch Logs Insights flattens a list
	// into order.0, order.1, …, which no query and no index can name.
	LogOrder = "order"
	LogRun   = "run" // name of the bulk run

	// Fields of the line of a message in one receive. LogMessage is its text.

	LogMessage       = "message"
	LogID            = "id"
	LogCause         = "cause"
	LogOutcome       = "outcome"
	LogReason        = "reason"
	LogClass         = "class"
	LogCode          = "code"
	LogDetail        = "detail"
	LogAttempts      = "attempts"
	LogLatency       = "latency_ms"
	LogRetryIn       = "retry_in_s"
	LogAction        = "action"
	LogLicense       = "license" // Shorten
	LogUser          = "user"    // HashUser
	LogDevice        = "device"  // Shorten
	LogProduct       = "product"
	LogSecretVersion = "secret_version"

	// Of a message that a person released.

	LogReleasedBy     = "released_by"
	LogReleasedAt     = "released_at" // RFC 3339, UTC
	LogReleasedReason = "released_reason"

	// Fields of the line of an event of a delivery, or of a direct invocation. LogDelivery is its text.

	LogDelivery     = "delivery"
	LogEvent        = "event"
	LogAnswer       = "answer"
	LogStatus       = "status"
	LogRequestCount = "request_count"
	LogRequests     = "requests"
	LogMissing      = "missing"
	LogProblem      = "problem"
	LogBy           = "by"      // who invoked the function directly, as the caller gives it
	LogComment      = "comment" // why, as the caller gives it
	LogDryRun       = "dry_run"

	// Fields of the line of a configuration fault. LogFault is its text.

	LogFault = "configuration fault"
	LogWhat  = "what"
	LogError = "error"
)
