package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/events"
	"license-deactivator/internal/certificate"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/local"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// Defaults and limits of `licensectl local`.
const (
	defaultCallsPerSecond = 10              // CALLS_PER_SECOND of production
	defaultCallsInFlight  = 10              // CALLS_IN_FLIGHT of production
	maxCallsInFlight      = 100             // likewise
	samplesTimeout        = 2 * time.Minute // how long the samples may take
)

type localOptions struct {
	addr            string
	consoleAddr     string
	secretsFile     string
	licenseAPI      string
	managementAPI   string
	callsPerSecond  float64
	callsInFlight   int
	managementCalls int
	managementPaced bool // managementCalls is given
	mode            string
	surgeLimit      int
	testEvents      string
	maxEventAge     time.Duration
	once            bool
	asJSON          bool
	faults          []string
	clock           clock
}

func newLocal(load func() (*source.Sources, error), c clock) *cobra.Command {
	o := localOptions{clock: c}
	cmd := &cobra.Command{
		Use:   "local",
		Short: "Run everything on this machine: webhook, queue, worker and a fake LicenseSpring",
		Long: `local starts the webhook, the queue, the worker and fakes of the License API and the Management API in one process on this
machine. It sends the samples of events/ as their senders do and prints the outcome of each and the reason. Then it serves your
own requests until Ctrl-C. It needs no AWS and no network.

It prints the address of its page first: what arrives, what became of it, and the dead letters, with a button for each sample. The
page listens on this machine alone, and its address holds a new token at each start.

Deliveries go to POST /webhooks/<source>. GET /history?order=1001 (or license, id, run) says what became of an order, like licensectl why. Direct invocations go to the path of Lambda's API, so this works:
  aws lambda invoke --endpoint-url http://127.0.0.1:8080 --region us-east-1 --no-sign-request \
    --function-name webhook --payload fileb://events/bulk.json out.json
With --license-api the worker calls your own License API instead of the fake: it really deactivates licenses, and
it sends no sample. Licenses are then looked up by their order only with --management-api and "management_api_key" in the secrets,
and a refund really disables them. With --secrets it sends only the samples of senders with a secret in the file.

With --json stdout holds only JSON objects; addresses, warnings and log lines go to stderr, and no table is printed.

` + faultsHelp(),
		Example: `  licensectl local
  licensectl local --once                          # only the samples; exit code 1 if one does not match its expected result
  licensectl local --fail ` + exampleFault + `                 # watch retries and the dead-letter queue
  licensectl local --secrets secrets.json --json   # your own secrets; one JSON object per outcome`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("license-api") && o.licenseAPI == "" {
				return misused("leave it out for the fake, or give an address with /api/v4", "--license-api is empty")
			}
			o.managementPaced = cmd.Flags().Changed(managementCallsFlag)
			if err := o.check(); err != nil {
				return err
			}
			sources, err := load()
			if err != nil {
				return err
			}
			return o.run(cmd.Context(), sources, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.addr, "addr", defaultAddress, "address to listen on; port 0 chooses a free one")
	f.StringVar(&o.consoleAddr, "console-addr", defaultConsoleAddress, "address of this machine on which the page listens; port 0 chooses a free one")
	f.StringVar(&o.secretsFile, "secrets", "", `file with {"license_api":{"api_key":"…","shared_key":"…","management_api_key":"…"},"webhooks":{"stripe":"…"}} (default: fixed secrets for trials)`)
	f.StringVar(&o.licenseAPI, "license-api", "", "address of a License API, with /api/v4, instead of the fake")
	f.StringVar(&o.managementAPI, "management-api", "", "address of a Management API, with /api/v1, next to --license-api; it switches the look-up on")
	f.Float64Var(&o.callsPerSecond, "calls-per-second", defaultCallsPerSecond, "calls to the License API a second")
	f.IntVar(&o.callsInFlight, "calls-in-flight", defaultCallsInFlight, "calls to the License API at the same time")
	f.IntVar(&o.managementCalls, managementCallsFlag, defaultManagementCalls, "calls to the Management API a minute; to the fake only if given")
	f.StringVar(&o.mode, "mode", modeAct, "act, or watch: decide, and deactivate nothing, as MODE in production")
	f.IntVar(&o.surgeLimit, "surge-limit", 0, "licenses of a source in an hour that events may deactivate, as SURGE_LIMIT in production; 0: no brake")
	f.StringVar(&o.testEvents, "test-events", testEventsIgnore, "ignore or accept events of the senders' test modes, as TEST_EVENTS in production")
	f.DurationVar(&o.maxEventAge, "max-event-age", 0, "keep events that are older when they come in the dead-letter queue, as MAX_EVENT_AGE in production; 336h for example (default: no limit, since samples are old)")
	f.BoolVar(&o.once, "once", false, "end when every sample has its result")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object per outcome instead of tables; logs go to stderr")
	f.StringSliceVar(&o.faults, "fail", nil, "make the fake APIs misbehave (see above)")
	completeFaults(cmd)
	completeTestEvents(cmd)
	_ = cmd.RegisterFlagCompletionFunc("mode", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{modeAct, modeWatch}, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// Values of --mode.
const (
	modeAct   = "act"
	modeWatch = "watch"
)

// Values of --test-events.
const (
	testEventsIgnore = "ignore"
	testEventsAccept = "accept"
)

func completeTestEvents(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("test-events", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{testEventsIgnore, testEventsAccept}, cobra.ShellCompDirectiveNoFileComp
	})
}

func (o localOptions) check() error {
	switch {
	case o.callsInFlight < 1 || o.callsInFlight > maxCallsInFlight:
		return misused(fmt.Sprintf("give a number from 1 to %d", maxCallsInFlight), "--calls-in-flight %d is out of range", o.callsInFlight)
	case !(o.callsPerSecond > 0) || o.callsPerSecond > 1e6:
		return misused("give a number above 0", "--calls-per-second %v is out of range", o.callsPerSecond)
	case o.mode != modeAct && o.mode != modeWatch:
		return misused("give one of the two; act is the default", "--mode %q is neither act nor watch", o.mode)
	case o.surgeLimit < 0:
		return misused("give a number of licenses, or 0 for no brake", "--surge-limit %d is out of range", o.surgeLimit)
	case o.testEvents != testEventsIgnore && o.testEvents != testEventsAccept:
		return misused("give one of the two; ignore is the default", "--test-events %q is neither ignore nor accept", o.testEvents)
	case o.maxEventAge < 0:
		return misused("give a duration such as 336h", "--max-event-age %v is below 0", o.maxEventAge)
	case o.once && o.licenseAPI != "":
		return misused("leave one of them out", "--once ends after the samples, and with --license-api none are sent")
	case len(o.faults) > 0 && o.licenseAPI != "":
		return misused("leave one of them out", "--fail is for the fake License API, and --license-api names another")
	}
	if err := checkLicenseAPI(o.licenseAPI); err != nil {
		return err
	}
	if err := o.checkLookUp(); err != nil {
		return err
	}
	if err := checkAddress("addr", o.addr); err != nil {
		return err
	}
	return checkPageAddress("console-addr", o.consoleAddr)
}

// run starts the License API and the system, sends the samples and waits for Ctrl-C.
func (o localOptions) run(ctx context.Context, sources *source.Sources, stdout, stderr io.Writer) error {
	stored, err := o.stored(sources)
	if err != nil {
		return err
	}
	webhooks, err := o.checkSecrets(stored, sources, stderr)
	if err != nil {
		return err
	}
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		return failed(err, "")
	}
	samples = slices.DeleteFunc(samples, func(s sample.Sample) bool { _, known := sources.Get(s.Source); return !known })
	called, closeAPIs, err := o.startAPIs(stored, samples)
	if err != nil {
		return err
	}
	defer closeAPIs()

	tried := sample.NewRun(len(o.faults) > 0, o.surgeLimit > 0)
	out := &printer{stdout: stdout, stderr: stderr, asJSON: o.asJSON}
	memory := new(history.Memory)
	stack, err := local.New(o.config(stored, sources, called, tried, out, stderr, memory))
	if err != nil && o.licenseAPI != "" {
		return misused("give an address such as "+defaultLicenseAPI, "--license-api: %v", err)
	}
	if err != nil {
		return failed(err, "")
	}
	policy := webhook.Policy{MaxEventAge: o.maxEventAge, LookUp: called.management != "", Certificates: o.certificates()}
	accepted := &receivedDeliveries{sources: sources, policy: policy}
	address, stop, err := local.Serve(ctx, o.addr, accepted.handler(stack), stack.Run)
	if err != nil {
		return listenFailed("addr", err)
	}
	defer stop()
	if host, _, err := net.SplitHostPort(o.addr); err == nil && !isLoopback(host) {
		fmt.Fprintf(stderr, "licensectl: warning: %s can be reached from other machines, and direct invocations need no signature\n", o.addr)
	}
	chosen, skipped := o.chooseSamples(samples, sources, webhooks)
	page := ""
	if !o.once {
		c := &localConsole{
			options: o, stack: stack, memory: memory, received: accepted, sources: sources, webhooks: webhooks, policy: policy, lookUp: onOff(policy.LookUp), address: address,
		}
		if o.licenseAPI == "" { // the samples' licenses are the fake's
			c.samples = chosen
		}
		var stopPage func()
		if page, stopPage, err = c.serve(ctx); err != nil {
			return listenFailed("console-addr", err)
		}
		defer stopPage()
	}
	o.greet(out.people(), page, address, called, webhooks)

	if o.licenseAPI == "" {
		for _, text := range skipped {
			fmt.Fprintln(out.people(), text)
		}
		to := sample.Target{Address: address, LookUp: true, Signer: signers(sources), Secret: firstSecret(webhooks)}
		if err := o.sendSamples(ctx, out, tried, to, chosen); err != nil || o.once {
			return err
		}
		if !o.asJSON {
			fmt.Fprintf(stdout, "\nListening on %s until Ctrl-C.\n", address)
		}
	}
	out.open()
	<-ctx.Done()
	stop()
	if n := stack.Queue.Len(); n > 0 {
		fmt.Fprintf(stderr, "licensectl: warning: the queue ends with this process, and still has %s\n", count(n, "message"))
	}
	return nil
}

// sendSamples sends the samples and prints their results. With --once a mismatch is an error, and so is a run without
// any sample.
func (o localOptions) sendSamples(ctx context.Context, out *printer, tried *sample.Run, to sample.Target, samples []sample.Sample) error {
	limit, cancel := context.WithTimeout(ctx, samplesTimeout)
	defer cancel()
	endProgress := o.progress(out, tried, len(samples))
	results := tried.Send(limit, to, samples)
	endProgress()
	if ctx.Err() != nil {
		sent, requests, final := tried.Progress()
		return failed(fmt.Errorf("interrupted: %d of %d samples were sent, %d of %d requests had their final outcome", sent, len(samples), final, requests), "")
	}
	mismatched := printResults(out, results)
	switch {
	case !o.once:
		return nil
	case mismatched > 0:
		return failed(fmt.Errorf("%d of %d samples did not match their expected result", mismatched, len(results)), "")
	case len(results) == 0:
		return failed(errors.New("no sample was sent"), "the file of --secrets has no secret for a sender with samples")
	}
	return nil
}

// chooseSamples returns the samples that can give the results in their files, and a text about the others.
func (o localOptions) chooseSamples(all []sample.Sample, sources *source.Sources, webhooks secrets.Webhooks) (chosen []sample.Sample, skipped []string) {
	var without []string
	testMode, old := 0, 0
	for _, s := range all {
		switch isTest, isStale := o.expects(s, sources); {
		case firstSecret(webhooks)(s.Source) == "":
			without = append(without, s.Source)
		case o.testEvents == testEventsAccept && isTest:
			testMode++
		case isStale:
			old++
		default:
			chosen = append(chosen, o.expected(s))
		}
	}
	if n := len(without); n > 0 {
		skipped = append(skipped, fmt.Sprintf("Skipped %s of senders without a secret in %s: %s.", count(n, "sample"), o.secretsFile, strings.Join(slices.Compact(without), ", ")))
	}
	if testMode > 0 {
		skipped = append(skipped, fmt.Sprintf("Skipped %s of test modes: their files expect that test events are ignored.", count(testMode, "sample")))
	}
	if old > 0 {
		skipped = append(skipped, fmt.Sprintf("Skipped %s of events older than %v: their files expect requests.", count(old, "sample"), o.maxEventAge))
	}
	if len(skipped) > 0 {
		skipped[len(skipped)-1] += "\n"
	}
	return chosen, skipped
}

// expected returns a sample with the result that this mode gives it: in watch mode every request ends as a dead letter.
func (o localOptions) expected(s sample.Sample) sample.Sample {
	s, s.LookUp = s.Expected(true), nil
	if o.mode != modeWatch {
		return s
	}
	s.Requests = slices.Clone(s.Requests)
	for i := range s.Requests {
		s.Requests[i].Outcome, s.Requests[i].Code = deactivation.Rejected, ""
	}
	return s
}

// expects reports whether a sample holds an event of a test mode, and one that --max-event-age makes stale.
func (o localOptions) expects(s sample.Sample, sources *source.Sources) (isTest, isStale bool) {
	from, _ := sources.Get(s.Source)
	events := webhook.Explain(from, delivery(s.Body, s.Headers), time.Now(), nil, webhook.Policy{MaxEventAge: o.maxEventAge, LookUp: true}).Events
	isTest = slices.ContainsFunc(events, func(e source.ExplainedEvent) bool { return e.TestMode })
	isStale = slices.ContainsFunc(events, func(e source.ExplainedEvent) bool { return e.Answer == deactivation.Stale })
	return isTest, isStale
}

func (o localOptions) config(stored local.Secrets, sources *source.Sources, called apis, tried *sample.Run, out *printer, stderr io.Writer, memory *history.Memory) local.Config {
	level := slog.LevelError // the tables say the rest
	if o.asJSON {
		level = slog.LevelInfo
	}
	licenseAPI, webhooks := stored.Readers(o.secretsFile)
	return local.Config{
		Sources: sources, LicenseSecret: licenseAPI, WebhookSecrets: webhooks, LicenseAPI: called.license, TokenURL: o.tokenURL(called.license),
		CallsPerSecond: o.callsPerSecond, CallsInFlight: o.callsInFlight, FirstRetry: o.clock.firstRetry,
		ManagementAPI: called.management, ManagementAPIKey: o.fallbackKey(), ManagementCallsPerMinute: o.managementPace(),
		AcceptTestEvents: o.testEvents == testEventsAccept, MaxEventAge: o.maxEventAge, SurgeLimit: o.surgeLimit, Watch: o.mode == modeWatch,
		Recorder: local.NewRecorder(stderr, level, memory), History: memory, Certificates: o.certificates(),
		OnOutcome:  func(m telemetry.Message) { out.outcome(m); tried.OnOutcome(m) },
		OnDelivery: func(d telemetry.Delivery) { out.delivery(d); tried.OnDelivery(d) },
		OnRefused:  out.refused,
	}
}

// certificates are those of senders that sign with one. Anybody can sign with the samples' key, so it counts only with the
// fake APIs.
func (o localOptions) certificates() webhook.Certificates {
	return local.SampleCertificates(certificate.New(certificate.Config{}), o.licenseAPI == "")
}

// tokenURL returns where an OAuth client gets its tokens: the fake at this address, or "" with the user's own License
// API, for which the secret decides.
func (o localOptions) tokenURL(api string) string {
	if o.licenseAPI != "" {
		return ""
	}
	return licenseapitest.TokenURL(api)
}

// startAPIs returns the APIs that the worker calls: the user's own, or those of a fake started here.
func (o localOptions) startAPIs(stored local.Secrets, samples []sample.Sample) (called apis, stop func(), err error) {
	if o.licenseAPI != "" {
		return o.ownAPIs(stored), func() {}, nil
	}
	key, err := secrets.ParseLicense(string(stored.LicenseAPI))
	if err != nil {
		return apis{}, nil, failed(err, "")
	}
	managementKey, err := o.managementKey(stored)
	if err != nil {
		return apis{}, nil, err
	}
	fake, err := local.NewFakeAPI(key, managementKey, samples)
	if err != nil {
		return apis{}, nil, failed(err, "")
	}
	if err := failOn(fake, o.faults); err != nil {
		return apis{}, nil, err
	}
	address, stop, err := fake.Start()
	if err != nil {
		return apis{}, nil, failed(fmt.Errorf("the fake License API did not start: %w", err), "")
	}
	return fakeAPIs(address), stop, nil
}

// stored returns the secrets of --secrets, or the fixed ones.
func (o localOptions) stored(sources *source.Sources) (local.Secrets, error) {
	if o.secretsFile == "" {
		return local.FixedSecrets(sources), nil
	}
	return readSecrets(o.secretsFile)
}

const secretsHint = `the file holds {"license_api":{"api_key":"…","shared_key":"…"},"webhooks":{"stripe":"…"}}`

// readSecrets reads a --secrets file.
func readSecrets(file string) (local.Secrets, error) {
	stored, err := local.ReadSecrets(file)
	if err != nil {
		return stored, failed(err, secretsHint)
	}
	return stored, nil
}

// parseWebhooks reads the senders' secrets.
func parseWebhooks(stored local.Secrets) (secrets.Webhooks, error) {
	webhooks, err := secrets.ParseWebhooks(string(stored.Webhooks))
	if err != nil {
		return webhooks, failed(err, `"webhooks" in the file holds {"stripe":"…","shopify":["new","old"]}`)
	}
	return webhooks, nil
}

// checkSecrets refuses secrets that cannot be read, and warns of secrets that are unusable or unused.
func (o localOptions) checkSecrets(stored local.Secrets, sources *source.Sources, stderr io.Writer) (secrets.Webhooks, error) {
	if _, err := secrets.ParseLicense(string(stored.LicenseAPI)); err != nil {
		return secrets.Webhooks{}, failed(err, `"license_api" in the file holds {"api_key":"…","shared_key":"…"} or {"client_id":"…","client_secret":"…"}`)
	}
	webhooks, err := parseWebhooks(stored)
	if err != nil {
		return secrets.Webhooks{}, err
	}
	verifying := local.Verifying(sources, webhooks)
	for _, name := range webhooks.Sources() {
		source, ok := sources.Get(name)
		if !ok && o.secretsFile != "" {
			fmt.Fprintf(stderr, "licensectl: warning: there is a secret for %q, but no sender's file; known are %s\n", name, strings.Join(sources.Names(), ", "))
		}
		texts, err := verifying.Keys(name)
		if ok && err == nil {
			err = source.CheckKeys(texts)
		}
		if err != nil {
			fmt.Fprintf(stderr, "licensectl: warning: %v; its deliveries are answered with 503\n", err)
		}
	}
	return webhooks, nil
}

// signers returns the senders' files as the signers of samples.
func signers(sources *source.Sources) func(string) (sample.Signer, bool) {
	return func(name string) (sample.Signer, bool) { return sources.Get(name) }
}

// firstSecret returns the secret that signs a source's samples: its first one, or "" without any.
func firstSecret(webhooks secrets.Webhooks) func(string) string {
	return func(source string) string {
		texts, err := webhooks.Keys(source)
		if err != nil || len(texts) == 0 {
			return ""
		}
		return texts[0]
	}
}

// checkAddress refuses a flag's address that is not host:port.
func checkAddress(flag, addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return misused("give host:port, such as 127.0.0.1:8080; port 0 chooses a free one", "--%s %q is not an address", flag, addr)
	}
	return nil
}

// onOff is a switch in words.
func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// listenFailed returns the error for a flag's address on which the command cannot listen.
func listenFailed(flag string, err error) error {
	hint := "give another address with --" + flag + "; port 0 chooses a free one"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "is another licensectl running? give another port with --" + flag + "; port 0 chooses a free one"
	case errors.Is(err, fs.ErrPermission):
		hint = "ports below 1024 need privileges; give another port with --" + flag
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "this machine does not have that address; every machine has 127.0.0.1"
	}
	return failed(err, hint)
}

func isLoopback(host string) bool {
	address := net.ParseIP(host)
	return host == "localhost" || (address != nil && address.IsLoopback())
}
