package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/console"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/webhook"
)

// consoleRefresh is how often an open page asks for what is new. A query of the log takes a second or two, and CloudWatch shows a
// line some seconds after it was written.
const consoleRefresh = 15 * time.Second

type consoleOptions struct {
	addr        string
	allowWrites bool
	target      target
	files       *files
	clock       clock
}

func newConsole(f *files, c clock) *cobra.Command {
	o := consoleOptions{files: f, clock: c}
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Show a deployed stack on a page: what arrives, what became of it, what needs you",
		Long: `console serves a page about a deployed stack on this machine, until Ctrl-C: deliveries and outcomes, the calls beside their limits, the
queues, the latest events, what became of an order (as why), and the dead letters (as dlq). Open the address that it prints. The part
behind # is a new token at each start; without it the server shows nothing. The server listens on this machine alone.

It acts with your own rights in AWS, in the region and account of AWS_REGION and AWS_PROFILE. docs/operations.md lists the rights
(IAM) that it needs. A part that you may not see says so; the others work.

The page is read-only: it shows the plan of a redrive or a purge and does nothing. With --allow-writes it redrives, releases, completes
and purges dead letters after you have typed their count and a comment, and writes audit lines as dlq does.

An open page asks every ` + consoleRefresh.String() + `. Metrics cost 0.01 USD for 1,000, and reading the log 0.005 USD for each gigabyte that a query scans.
The events are read once, and then only what is new; the page says how much was scanned.

licensectl local serves the same page for itself, and prints its address.`,
		Example: `  licensectl console --stack license-deactivator
  licensectl console --stack license-deactivator --allow-writes --addr 127.0.0.1:8070
  AWS_PROFILE=support licensectl console --stack license-deactivator`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.target.addFlags(cmd, webhookFunctionName, queueURL, deadLetterQueueURL)
	cmd.Flags().StringVar(&o.addr, "addr", defaultConsoleAddress, "address of this machine on which the page listens; port 0 chooses a free one")
	cmd.Flags().BoolVar(&o.allowWrites, "allow-writes", false, "let the page redrive and purge dead letters")
	return cmd
}

func (o *consoleOptions) run(cmd *cobra.Command) error {
	if err := checkPageAddress("addr", o.addr); err != nil {
		return err
	}
	if o.target.isLocal() {
		return misused("open the address that licensectl local prints first", "licensectl local serves this page itself")
	}
	ctx := cmd.Context()
	at, err := o.target.open(ctx, queueURL, deadLetterQueueURL)
	if err != nil {
		return err
	}
	address, stop, err := console.Serve(ctx, o.addr, o.config(at, cmd.ErrOrStderr()))
	if err != nil {
		return listenFailed("addr", err)
	}
	defer stop()
	o.greet(cmd.OutOrStdout(), at, address)
	<-ctx.Done()
	return nil
}

// config is the page over AWS.
func (o *consoleOptions) config(at *place, stderr io.Writer) console.Config {
	letters := newLetterDesk(letterDesk{
		open:    func(ctx context.Context) (*place, error) { return o.target.open(ctx, queueURL, deadLetterQueueURL) },
		sources: o.files.load, perSecond: defaultLettersPerSecond, poll: o.clock.letterPoll,
		journal: func(line deactivation.Audit) error { return printLines(stderr, []any{line}) },
	})
	status := &stackStatus{at: at, now: time.Now}
	past := &stackHistory{why: whyOptions{target: o.target, clock: o.clock}, now: time.Now}
	if groups := at.logGroups(); len(groups) > 0 {
		status.logs = at.insights(groups)
		past.logs = status.logs
	}
	return console.Config{
		Place: o.place(at), Status: status, History: past, Explainer: letterExplainer{letters, o.files}, Letters: letters,
		AllowWrites: o.allowWrites, Refresh: consoleRefresh,
	}
}

// place names what the page is about.
func (o *consoleOptions) place(at *place) string {
	return o.target.String() + " in " + at.config.Region
}

func (o *consoleOptions) greet(w io.Writer, at *place, address string) {
	fmt.Fprintf(w, "Console      %s\n", address)
	fmt.Fprintf(w, "Shows        %s\n", o.place(at))
	if o.allowWrites {
		fmt.Fprintln(w, "Writes       yes: it redrives and purges dead letters")
	} else {
		fmt.Fprintln(w, "Writes       no: it is read-only without --allow-writes")
	}
	fmt.Fprintln(w, "\nUntil Ctrl-C. Do not share the address: its token opens the page.")
}

// checkPageAddress refuses an address of the page that other machines can reach.
func checkPageAddress(flag, addr string) error {
	if err := checkAddress(flag, addr); err != nil {
		return err
	}
	if host, _, err := net.SplitHostPort(addr); err != nil || !isLoopback(host) {
		return misused("give an address such as 127.0.0.1:0", "--%s %q can be reached from other machines, and the page is for this one alone", flag, addr)
	}
	return nil
}

// letterExplainer is console.Explainer of a deployed stack: an event's body is kept in the dead-letter queue alone.
type letterExplainer struct {
	letters *letterDesk
	files   *files
}

// Explain implements console.Explainer.
func (e letterExplainer) Explain(ctx context.Context, id string) (console.Explanation, error) {
	ids := []string{id}
	if at := strings.LastIndexByte(id, '.'); at > 0 { // of a request: its event
		ids = append(ids, id[:at])
	}
	found, end, err := e.letters.look(ctx, console.LetterFilter{IDs: ids}, 0)
	if err != nil {
		return console.Explanation{}, err
	}
	defer end()
	for _, l := range found.Chosen {
		if l.Event != nil {
			return e.event(ctx, found.place, l)
		}
	}
	return console.Explanation{}, console.ErrNoBody
}

func (e letterExplainer) event(ctx context.Context, at *place, l *deadletter.Letter) (console.Explanation, error) {
	sources, err := e.files.load()
	if err != nil {
		return console.Explanation{}, err
	}
	reader := subjectReader{files: e.files, sources: sources}
	s, err := reader.deadLetter(subject{name: l.ID(), policy: webhook.Policy{LookUp: at.looksUp(ctx)}}, *l.Event)
	if err != nil {
		return console.Explanation{}, err
	}
	explanation, err := s.explain()
	if err != nil {
		return console.Explanation{}, failed(err, "")
	}
	return explainedForPage(s, explanation), nil
}
