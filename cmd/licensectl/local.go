package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/local"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// Limits of `licensectl local`.
const (
	defaultCallsPerSecond = 10              // as CALLS_PER_SECOND in production
	defaultCallsInFlight  = 10              // as CALLS_IN_FLIGHT in production
	maxCallsInFlight      = 100             // likewise
	onceTimeout           = 2 * time.Minute // how long --once waits for the last sample
)

type localOptions struct {
	addr           string
	secretsFile    string
	licenseAPI     string
	callsPerSecond float64
	callsInFlight  int
	once           bool
	asJSON         bool
	faults         []string
	firstRetry     time.Duration // see clock
}

func newLocal(load func() (*source.Sources, error), c clock) *cobra.Command {
	o := localOptions{firstRetry: c.firstRetry}
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run everything on this machine: webhook, queue, worker and a fake License API",
		Long: `local starts the webhook, the queue, the worker and a fake License API in one process on this machine, sends it
the samples of events/ as their senders would, and shows what each became and why. Then it stays up for your own
requests, until Ctrl-C. It needs no AWS and no network.

Deliveries go to POST /webhooks/<source>. Direct invocations go to Lambda's own address, so that
  aws lambda invoke --endpoint-url http://127.0.0.1:8080 --region us-east-1 --no-sign-request \
    --function-name webhook --payload fileb://events/bulk.json out.json
works. With --license-api the worker calls a License API of yours instead of the fake: then licenses are really
deactivated, and no sample is sent.

` + faultsHelp(),
		Example: `  licensectl local
  licensectl local --once                          # the samples alone; exit code 1 if one did not match its expected result
  licensectl local --fail ` + exampleFault + `                 # watch retries and the dead-letter queue
  licensectl local --secrets secrets.json --json   # your own secrets; one JSON object per outcome`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("license-api") && o.licenseAPI == "" {
				return misused("leave it out for the fake, or give an address with /api/v4", "--license-api is empty")
			}
			if err := o.check(); err != nil {
				return err
			}
			sources, err := load()
			if err != nil {
				return err
			}
			stdout := &checkedWriter{to: cmd.OutOrStdout()}
			return cmp.Or(o.run(cmd.Context(), sources, stdout, cmd.ErrOrStderr()), stdout.failed())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.addr, "addr", defaultAddress, "address to listen on; port 0 takes a free one")
	f.StringVar(&o.secretsFile, "secrets", "", `file with {"license_api":{"api_key":"…","shared_key":"…"},"webhooks":{"stripe":"…"}} (default: fixed secrets for trying)`)
	f.StringVar(&o.licenseAPI, "license-api", "", "address of a License API, with /api/v4, instead of the fake")
	f.Float64Var(&o.callsPerSecond, "calls-per-second", defaultCallsPerSecond, "calls to the License API a second")
	f.IntVar(&o.callsInFlight, "calls-in-flight", defaultCallsInFlight, "calls to the License API at the same time")
	f.BoolVar(&o.once, "once", false, "end when every sample has ended")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object per outcome instead of tables; logs go to stderr")
	f.StringSliceVar(&o.faults, "fail", nil, "make the fake License API misbehave (see above)")
	return cmd
}

func (o localOptions) check() error {
	switch {
	case o.callsInFlight < 1 || o.callsInFlight > maxCallsInFlight:
		return misused(fmt.Sprintf("give a number from 1 to %d", maxCallsInFlight), "--calls-in-flight %d is out of range", o.callsInFlight)
	case !(o.callsPerSecond > 0) || o.callsPerSecond > 1e6:
		return misused("give a number above 0", "--calls-per-second %v is out of range", o.callsPerSecond)
	case o.once && o.licenseAPI != "":
		return misused("leave one of them out", "--once ends after the samples, and with --license-api none are sent")
	case len(o.faults) > 0 && o.licenseAPI != "":
		return misused("leave one of them out", "--fail is for the fake License API, and --license-api names another")
	}
	return nil
}

// run is the command: fake, stack, front door, samples, then wait.
func (o localOptions) run(ctx context.Context, sources *source.Sources, stdout, stderr io.Writer) error {
	stored := local.FixedSecrets(sources)
	if o.secretsFile != "" {
		var err error
		if stored, err = local.ReadSecrets(o.secretsFile); err != nil {
			return failed(err, `the file holds {"license_api":{"api_key":"…","shared_key":"…"},"webhooks":{"stripe":"…"}}`)
		}
	}
	webhooks, err := o.checkSecrets(stored, sources, stderr)
	if err != nil {
		return err
	}
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		return failed(err, "")
	}
	samples = withSource(samples, sources)
	api, closeAPI, err := o.startAPI(stored, samples)
	if err != nil {
		return err
	}
	defer closeAPI()

	tried := sample.NewRun(len(o.faults) > 0)
	out := &printer{stdout: stdout, asJSON: o.asJSON}
	stack, err := local.New(o.config(stored, sources, api, tried, out, stderr))
	if err != nil {
		return failed(err, "")
	}
	address, stop, err := local.Serve(ctx, o.addr, stack, stack.Run)
	if err != nil {
		return failed(err, "is another licensectl local running? give another port with --addr, or port 0 for a free one")
	}
	defer stop()
	if host, _, err := net.SplitHostPort(o.addr); err == nil && !onThisMachine(host) {
		fmt.Fprintf(stderr, "licensectl: warning: %s can be reached from other machines, and direct invocations ask for no signature\n", o.addr)
	}
	o.greet(out.people(stderr), address, api, webhooks)
	if o.licenseAPI != "" {
		out.open()
		<-ctx.Done()
		return o.farewell(stop, stack, stderr)
	}

	limit, cancel := context.WithTimeout(ctx, onceTimeout)
	defer cancel()
	results := tried.Send(limit, sample.Target{Address: address, Signer: signers(sources), Secret: firstSecret(webhooks)}, samples)
	wrong := printResults(out.people(stderr), results)
	if !o.once && ctx.Err() == nil {
		fmt.Fprintf(out.people(stderr), "\nListening on %s until Ctrl-C.\n", address)
		out.open()
		<-ctx.Done()
		return o.farewell(stop, stack, stderr)
	}
	if wrong > 0 {
		return failed(fmt.Errorf("%d of %d samples did not match their expected result", wrong, len(results)), "")
	}
	return nil
}

func (o localOptions) config(stored local.Secrets, sources *source.Sources, api string, tried *sample.Run, out *printer, stderr io.Writer) local.Config {
	level := slog.LevelError // tables say the rest
	if o.asJSON {
		level = slog.LevelInfo
	}
	licenseAPI, webhooks := stored.Readers(o.secretsFile)
	return local.Config{
		Sources: sources, LicenseSecret: licenseAPI, WebhookSecrets: webhooks, LicenseAPI: api, TokenURL: o.tokenURL(api),
		CallsPerSecond: o.callsPerSecond, CallsInFlight: o.callsInFlight, FirstRetry: o.firstRetry,
		Recorder:   telemetry.New(stderr, level, ""),
		OnOutcome:  func(m telemetry.Message) { out.outcome(m); tried.OnOutcome(m) },
		OnDelivery: func(d telemetry.Delivery) { out.delivery(d); tried.OnDelivery(d) },
	}
}

// tokenURL returns where an OAuth client gets its tokens: the fake at this address, or "" with a License API of the
// user's own, for which the secret decides.
func (o localOptions) tokenURL(api string) string {
	if o.licenseAPI != "" {
		return ""
	}
	return licenseapitest.TokenURL(api)
}

// startAPI returns the address that the worker calls: the user's own, or that of a fake started here.
func (o localOptions) startAPI(stored local.Secrets, samples []sample.Sample) (address string, stop func(), err error) {
	if o.licenseAPI != "" {
		return o.licenseAPI, func() {}, nil
	}
	key, err := secrets.ParseLicense(string(stored.LicenseAPI))
	if err != nil {
		return "", nil, failed(err, "")
	}
	api, err := local.NewFakeAPI(key, samples)
	if err != nil {
		return "", nil, failed(err, "")
	}
	if err := failOn(api, o.faults); err != nil {
		return "", nil, err
	}
	address, stop, err = api.Start()
	if err != nil {
		return "", nil, failed(fmt.Errorf("the fake License API did not start: %w", err), "")
	}
	return address, stop, nil
}

// checkSecrets refuses secrets that no delivery could be verified with, and warns of those that nothing reads.
func (o localOptions) checkSecrets(stored local.Secrets, sources *source.Sources, stderr io.Writer) (secrets.Webhooks, error) {
	if _, err := secrets.ParseLicense(string(stored.LicenseAPI)); err != nil {
		return secrets.Webhooks{}, failed(err, `"license_api" in the file holds {"api_key":"…","shared_key":"…"} or {"client_id":"…","client_secret":"…"}`)
	}
	webhooks, err := secrets.ParseWebhooks(string(stored.Webhooks))
	if err != nil {
		return secrets.Webhooks{}, failed(err, `"webhooks" in the file holds {"stripe":"…","shopify":["new","old"]}`)
	}
	for _, name := range webhooks.Sources() {
		if _, ok := sources.Get(name); !ok && o.secretsFile != "" {
			fmt.Fprintf(stderr, "licensectl: warning: there is a secret for %q, but no sender's file; known are %s\n", name, strings.Join(sources.Names(), ", "))
		}
		texts, err := webhooks.Keys(name)
		if source, ok := sources.Get(name); ok && err == nil {
			err = source.CheckKeys(texts)
		}
		if err != nil {
			fmt.Fprintf(stderr, "licensectl: warning: %v; its deliveries are answered with 503\n", err)
		}
	}
	return webhooks, nil
}

// withSource leaves out samples of senders that --sources has no file for.
func withSource(samples []sample.Sample, sources *source.Sources) []sample.Sample {
	var kept []sample.Sample
	for _, s := range samples {
		if _, ok := sources.Get(s.Source); ok {
			kept = append(kept, s)
		}
	}
	return kept
}

// signers returns the senders' files as what samples are signed by.
func signers(sources *source.Sources) func(string) (sample.Signer, bool) {
	return func(name string) (sample.Signer, bool) { return sources.Get(name) }
}

// firstSecret returns the secret that samples are signed with: the source's first, "" where it has none.
func firstSecret(webhooks secrets.Webhooks) func(string) string {
	return func(source string) string {
		texts, err := webhooks.Keys(source)
		if err != nil || len(texts) == 0 {
			return ""
		}
		return texts[0]
	}
}

func onThisMachine(host string) bool {
	address := net.ParseIP(host)
	return host == "localhost" || (address != nil && address.IsLoopback())
}

// farewell stops everything in order and says what is still in the queue, since that is lost with the process.
func (o localOptions) farewell(stop func(), stack *local.Stack, stderr io.Writer) error {
	stop()
	if n := stack.Queue.Len(); n > 0 {
		fmt.Fprintf(stderr, "licensectl: warning: %d messages were still in the queue, which ends with this process\n", n)
	}
	return nil
}

func (o localOptions) greet(w io.Writer, address, api string, webhooks secrets.Webhooks) {
	fmt.Fprintf(w, "Webhook      %s/webhooks/{source}\n", address)
	fmt.Fprintf(w, "Invocation   %s/2015-03-31/functions/webhook/invocations\n", address)
	if o.licenseAPI != "" {
		fmt.Fprintf(w, "License API  %s (not a fake: licenses are really deactivated)\n", api)
	} else {
		fmt.Fprintf(w, "License API  %s (fake)\n", api)
	}
	fmt.Fprintf(w, "Pace         %v calls a second, %d calls in flight\n", o.callsPerSecond, o.callsInFlight)
	if o.secretsFile != "" {
		fmt.Fprintf(w, "Secrets      of %s, for %s\n", o.secretsFile, strings.Join(webhooks.Sources(), ", "))
	} else {
		fmt.Fprintf(w, "Secrets      fixed ones, for trying only:\n")
		for _, name := range webhooks.Sources() {
			fmt.Fprintf(w, "             %-16s %s\n", name, firstSecret(webhooks)(name))
		}
	}
	if len(o.faults) > 0 {
		fmt.Fprintf(w, "Faults       %s\n", strings.Join(o.faults, ", "))
	}
	fmt.Fprintln(w)
}

// printer writes outcomes: as JSON objects from the start, or as lines for people once the samples' table is out.
type printer struct {
	mu     sync.Mutex
	stdout io.Writer
	asJSON bool
	opened bool
}

// checkedWriter remembers the first error, so that a full disk does not pass for success.
type checkedWriter struct {
	to  io.Writer
	mu  sync.Mutex
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	return n, err
}

// failed is what went wrong with the output, nil if nothing did.
func (c *checkedWriter) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return nil
	}
	return failed(fmt.Errorf("the output could not be written: %w", c.err), "is the disk full, or the other end of the pipe gone?")
}

// people is where tables and greetings go: not between JSON objects.
func (p *printer) people(stderr io.Writer) io.Writer {
	if p.asJSON {
		return stderr
	}
	return p.stdout
}

// open begins to print lines for people.
func (p *printer) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = true
}

// outcomeLine is one object of --json.
type outcomeLine struct {
	ID       string               `json:"id"`
	Source   string               `json:"source"`
	Outcome  deactivation.Outcome `json:"outcome"`
	Code     string               `json:"code"`
	Attempts int                  `json:"attempts"`
	Reason   deactivation.Reason  `json:"reason,omitempty"` // of a dead letter
	Cause    string               `json:"cause,omitempty"`
	Rule     string               `json:"rule,omitempty"`
	Detail   string               `json:"detail,omitempty"`
	RetryIn  float64              `json:"retry_in_s,omitempty"`
}

func (p *printer) outcome(m telemetry.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.asJSON:
		line, err := json.Marshal(outcomeLine{
			ID: m.ID, Source: m.Source, Outcome: m.Outcome, Code: m.Code, Attempts: m.Attempts, Reason: m.Reason,
			Cause: m.Cause, Rule: m.Rule, Detail: m.Detail, RetryIn: m.RetryIn.Seconds(),
		})
		if err == nil {
			_, _ = p.stdout.Write(append(line, '\n'))
		}
	case p.opened:
		fmt.Fprintf(p.stdout, "%s  %-16s %s%s\n", now(), m.Outcome, m.ID, tail(explain(m)))
	}
}

func (p *printer) delivery(d telemetry.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.opened || p.asJSON {
		return
	}
	event := strings.Trim(d.Source+" "+d.Event, " ")
	fmt.Fprintf(p.stdout, "%s  %-16s %s%s\n", now(), d.Answer, event, tail(explainDelivery(d)))
}

func now() string { return time.Now().Format(time.TimeOnly) }

func tail(why string) string {
	if why == "" {
		return ""
	}
	return "  (" + why + ")"
}

// explain says why a message ended as it did.
func explain(m telemetry.Message) string {
	var parts []string
	if m.Code != "" {
		parts = append(parts, m.Code)
	}
	if m.Reason != "" {
		parts = append(parts, "dead letter: "+string(m.Reason))
	}
	if m.Outcome == deactivation.Deferred {
		parts = append(parts, "again in "+m.RetryIn.Round(time.Second/10).String())
	}
	if m.Attempts > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", m.Attempts))
	}
	return strings.Join(parts, ", ")
}

// explainDelivery says why an event was answered as it was.
func explainDelivery(d telemetry.Delivery) string {
	var parts []string
	if d.Rule != "" {
		parts = append(parts, d.Rule)
	}
	if len(d.Missing) > 0 {
		parts = append(parts, "dead letter: missing "+strings.Join(d.Missing, ", "))
	}
	if d.Problem != "" {
		parts = append(parts, d.Problem)
	}
	if d.Answer == deactivation.Ignored && d.Rule == "" {
		parts = append(parts, "no rule matches")
	}
	return strings.Join(parts, "; ")
}
