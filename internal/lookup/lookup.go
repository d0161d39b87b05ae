// Package lookup goes from a refunded order to its licenses and their devices: it finds the licenses in LicenseSpring,
// checks that they belong to the order, deactivates their devices and disables the licenses if the request says so.
//
//	named device ─► find (find.go) ─► is it certain? (review.go) ─► devices (devices.go) ─► act, read back (act.go)
//
// One message is one saga. It keeps no state of its own: each receive of the message lists again and does what is left. A
// kill at any call, a second copy of the message and an API that is down lead to the same end state.
//
// Guarantees:
//   - Nothing is written unless every record and every device in the answers is the one that was asked for, byte for byte.
//   - An uncertain case is not acted on: the message ends as a dead letter with a code (Code…), or it waits.
//   - A device that the request names is deactivated first, without the Management API, unless a buyer could write it.
//   - Nothing is deleted or blacklisted, and no license is reset; devices of user-based licenses are.
//
// Start with [New], once for the process, and call [Lookup.Run] for each receive of a message for which [Needed] is
// true.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/throttle"
	"license-deactivator/pkg/managementapi"
)

// Defaults of Config.
const (
	// DefaultMaxLicenses is how many licenses a message may act on without a person's consent: a larger order is a
	// reseller's or a mistake.
	DefaultMaxLicenses = 10
	// DefaultMaxDevices is how many devices a message may deactivate without a person's consent, on all of its licenses together.
	DefaultMaxDevices = 50
	// DefaultMaxReleased is how many licenses a message may act on that a person has released.
	DefaultMaxReleased = readLicensesReleased
	// DefaultProbeEvery is how long the look-up stops before it probes the filters again.
	DefaultProbeEvery = 5 * time.Minute
)

// DefaultNotFound is when a message without a license is tried again, by its age: a refund may be faster than the
// fulfilment of its order. After the last time the message ends, but never at its first look-up.
//
//	age     wait
//	2 min   2 min
//	15 min  13 min
//	60 min  45 min
func DefaultNotFound() []time.Duration {
	return []time.Duration{2 * time.Minute, 15 * time.Minute, time.Hour}
}

// maxRemembered bounds how many messages without a license are remembered between two receives. A message that is not
// remembered is looked up once more.
const maxRemembered = 10_000

// Management is the part of the Management API that the saga calls; *managementapi.Client is one.
type Management interface {
	Licenses(ctx context.Context, by managementapi.Filter, most int) (managementapi.List[managementapi.License], error)
	Devices(ctx context.Context, license int64, most int) (managementapi.List[managementapi.Device], error)
	Disable(ctx context.Context, license int64) error
	ResetDevice(ctx context.Context, device int64) error
}

// Config is the configuration of a Lookup. Every zero field means its default.
type Config struct {
	NotFound    []time.Duration  // ages of the message, rising; nil: DefaultNotFound()
	ProbeEvery  time.Duration    // 0: DefaultProbeEvery
	MaxLicenses int              // 0: DefaultMaxLicenses
	MaxDevices  int              // 0: DefaultMaxDevices
	MaxReleased int              // most licenses of a message that a person has released; 0: DefaultMaxReleased
	Now         func() time.Time // nil: time.Now
	Logger      *slog.Logger     // gets a line when the look-up stops and when it continues; nil: none
}

// Lookup processes messages. It is safe for concurrent use, and outlives an invocation: it remembers whether the API's
// filters can be trusted, and which messages it has looked up without finding a license.
type Lookup struct {
	cfg   Config
	trust trust

	// writing holds the ids of the licenses that a message of this environment writes to. Two calls for one license at the
	// same time may miscount its activations: the License API's changelog names such a fault (v4.0.29).
	writing throttle.Locks[int64]

	mu    sync.Mutex
	first map[string]time.Time // by request id: the first look that found no license
}

// New checks the configuration and names each bad field.
func New(cfg Config) (*Lookup, error) {
	if cfg.NotFound == nil {
		cfg.NotFound = DefaultNotFound()
	}
	if cfg.ProbeEvery == 0 {
		cfg.ProbeEvery = DefaultProbeEvery
	}
	if cfg.MaxLicenses == 0 {
		cfg.MaxLicenses = DefaultMaxLicenses
	}
	if cfg.MaxDevices == 0 {
		cfg.MaxDevices = DefaultMaxDevices
	}
	if cfg.MaxReleased == 0 {
		cfg.MaxReleased = DefaultMaxReleased
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	var problems []error
	if len(cfg.NotFound) == 0 || cfg.NotFound[0] <= 0 || !slices.IsSorted(cfg.NotFound) {
		problems = append(problems, errors.New("lookup: NotFound must have ages above 0 that rise"))
	}
	for _, field := range []struct {
		name string
		bad  bool
	}{{"ProbeEvery", cfg.ProbeEvery < 0}, {"MaxLicenses", cfg.MaxLicenses < 0}, {"MaxDevices", cfg.MaxDevices < 0}, {"MaxReleased", cfg.MaxReleased < 0}} {
		if field.bad {
			problems = append(problems, fmt.Errorf("lookup: %s is negative", field.name))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &Lookup{
		cfg: cfg, trust: trust{turn: make(chan struct{}, 1), probed: map[string]bool{}},
		first: map[string]time.Time{},
	}, nil
}

// Needed reports whether a request needs the Management API: its license has to be found, its other devices are to be
// deactivated, it is to be disabled, or a buyer may have named it. All others need only the License API.
func Needed(r deactivation.Request) bool {
	if r.Action != "" && r.Action != deactivation.ActionDeactivateLicense {
		return false
	}
	return r.HardwareID == "" || r.Disable || r.Buyer
}

// Run processes one request as far as possible in this receive.
func (l *Lookup) Run(ctx context.Context, job Job) Result {
	return l.saga(job).result(ctx)
}

func (l *Lookup) saga(job Job) *saga {
	return &saga{l: l, job: job, request: job.Request, now: l.cfg.Now()}
}

// saga is one run.
type saga struct {
	l       *Lookup
	job     Job
	request deactivation.Request
	now     time.Time
	report  Report
	targets []*target // the licenses of the request, once they are known
	refused *Result   // of the writes that the API refuses permanently
}

// result runs the saga and completes its result.
func (s *saga) result(ctx context.Context) Result {
	result := s.run(ctx)
	result.Detail = deactivation.CleanText(result.Detail)
	result.Report = s.report
	return result
}

func (s *saga) run(ctx context.Context) Result {
	if s.namesDevice() && !s.request.Buyer {
		if stop := s.freeNamed(ctx); stop != nil {
			return *stop
		}
	}
	if !Needed(s.request) && s.report.Named != nil {
		return *s.namedResult()
	}
	found, stop := s.find(ctx)
	if stop != nil {
		return *stop
	}
	targets, stop := s.review(found)
	if stop != nil {
		return *stop
	}
	if stop := s.readDevices(ctx, targets); stop != nil {
		return *stop
	}
	if s.job.Watch {
		return s.watched(targets)
	}
	return s.act(ctx, found, targets)
}

// namesDevice reports whether the request names a device and a license with which the License API can be called.
func (s *saga) namesDevice() bool { return s.request.CheckSendable() == nil }

// wholeLicense reports whether the request concerns all devices of the licenses, and not only the one that it names.
func (s *saga) wholeLicense() bool {
	return !s.namesDevice() || s.request.Disable && s.request.Origin != deactivation.OriginDirect
}

// freeNamed deactivates the device that the request names.
func (s *saga) freeNamed(ctx context.Context) *Result {
	if s.job.Watch {
		return nil
	}
	if stop := s.admit(s.request.Identity()); stop != nil {
		return stop
	}
	answer := s.job.Deactivate(ctx, s.request.License)
	s.report.Named = &answer
	if answer.Outcome == deactivation.Deferred {
		return deferredBy(answer)
	}
	return nil
}

// admit asks the brake for licenses that are about to be written to, all or none.
func (s *saga) admit(licenses ...string) *Result {
	if s.job.Admit == nil {
		return nil
	}
	if reason := s.job.Admit(licenses); reason != "" {
		return &Result{Outcome: deactivation.Rejected, Reason: reason, Detail: s.report.String()}
	}
	return nil
}

// eventTime is the time of the event or of its receipt; zero if neither is known.
func (s *saga) eventTime() time.Time {
	if s.request.OccurredAt.IsZero() {
		return s.request.ReceivedAt
	}
	return s.request.OccurredAt
}
