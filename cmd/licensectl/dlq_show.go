package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/history"
)

func newDLQShow(c clock) *cobra.Command {
	o := showOptions{letterOptions: letterOptions{clock: c}}
	cmd := &cobra.Command{
		Use:   "show ID…",
		Short: "Explain a dead letter: what happened, what it requests, what to do",
		Long: `show prints the letters with these ids: the attributes, the request with its license key and hardware id shortened, what
the reason and the code mean, and what to do. ID is the id of a request or of an event, as list --ids prints it, or the
message's id. An event's whole path through the sender's file is shown by explain.

--logs adds what the log of both functions says about it, as why does: with --stack from CloudWatch Logs Insights, which costs
0.005 USD for each gigabyte that it scans, or from a running licensectl local.`,
		Example: `  licensectl dlq show stripe.evt_3Nx.0 --stack license-deactivator
  licensectl dlq show stripe.evt_3Nx.0 --stack license-deactivator --logs
  licensectl dlq export --id stripe.evt_3Nx --stack license-deactivator | licensectl explain -`,
		Args: takes(cobra.MinimumNArgs(1), "an ID", "licensectl dlq list --ids shows the ids"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	o.target.addFlags(cmd, queueURL, deadLetterQueueURL)
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object for each letter")
	cmd.Flags().BoolVar(&o.logs, "logs", false, "add what the log says about each letter")
	return cmd
}

type showOptions struct {
	letterOptions
	logs bool
}

// logSince is how far back the log is read: a letter stays for 14 days, its message for 10 days in the queue before.
const logSince = 30 * 24 * time.Hour

// history returns what the log says about a letter; nothing without --logs.
func (o *showOptions) history(ctx context.Context, l *deadletter.Letter, now time.Time) ([]history.Request, error) {
	if !o.logs {
		return nil, nil
	}
	log := whyOptions{target: o.target, clock: o.clock}
	source, err := log.source(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, whyTimeout)
	defer cancel()
	question := history.OfID(l.ID())
	lines, err := source.Find(ctx, question, now.Add(-logSince))
	if err != nil {
		return nil, log.notAnswered(err)
	}
	return history.Tell(question, lines).Requests, nil
}

func (o *showOptions) run(cmd *cobra.Command, ids []string) error {
	found, err := o.open(cmd.Context(), deadletter.Filter{IDs: ids}, false)
	if err != nil {
		return err
	}
	found.Close()
	now := time.Now()
	var lines []any
	for i, l := range found.Chosen {
		log, err := o.history(cmd.Context(), l, now)
		if err != nil {
			return err
		}
		if o.asJSON {
			line := lineOf(l)
			line.Log = log
			lines = append(lines, line)
			continue
		}
		if i > 0 {
			fmt.Fprintln(cmd.OutOrStdout(), "\n"+strings.Repeat("─", pageWidth(cmd.OutOrStdout()))+"\n")
		}
		p := printLetter(cmd.OutOrStdout(), l, &o.target, now)
		if o.logs {
			p.log(log)
		}
	}
	if err := printLines(cmd.OutOrStdout(), lines); err != nil {
		return err
	}
	missing := slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		return slices.ContainsFunc(found.Chosen, func(l *deadletter.Letter) bool { return l.RequestID == id || l.MessageID == id })
	})
	if len(missing) == 0 {
		return nil
	}
	hint := "licensectl dlq list --ids shows the letters that are there"
	if notes := found.notes(); len(notes) > 0 {
		hint = strings.Join(notes, " ")
	}
	return failed(errors.New(visible("no visible letter has the id "+strings.Join(missing, ", "))), hint)
}

func printLetter(w io.Writer, l *deadletter.Letter, at *target, now time.Time) *page {
	p := &page{w: w, heading: "LETTER"}
	rows := []row{{"id", l.ID()}, {"reason", string(l.Reason)}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, row{name, value})
		}
	}
	add("code", l.Code)
	add("source", l.Source)
	if l.Attempts > 0 {
		add("attempts", count(l.Attempts, "receive"))
	}
	add("written", l.At().UTC().Format(time.DateTime)+" UTC, "+ago(l.At(), now)+" ago")
	add("message id", l.MessageID)
	if len(l.Attributes) == 0 {
		add("attributes", "none: SQS itself moved it, or somebody else wrote it")
	}
	p.table(rows)
	if l.Detail != "" {
		p.section("DETAIL")
		p.prose(l.Detail)
	}
	p.content(l)
	m := deadletter.MeaningOf(l.DeadLetter)
	p.section("MEANING")
	p.prose(sentence(m.Is))
	p.section("TO DO")
	p.prose(sentence(m.Do))
	way, why := deadletter.Redrive(l, true)
	p.section("REDRIVE")
	p.prose(sentence(redriveText(way, why)))
	p.command(nextCommand(l, way, at))
	return p
}

// log prints the steps of a letter's requests and events, by the time.
func (p *page) log(requests []history.Request) {
	p.section("LOG")
	if len(requests) == 0 {
		p.line("The log has no line of it in the last %d days.", logSince/(24*time.Hour))
	}
	for _, r := range requests {
		if len(requests) > 1 {
			p.line("%s: %s", r.ID, r.Outcome)
		}
		var rows []row
		for _, s := range r.Steps {
			rows = append(rows, row{s.At.UTC().Format(time.DateTime), s.Step, s.Text})
		}
		p.table(rows)
	}
}

// command prints a command that can be pasted: where it is longer than a line, the lines end in a backslash.
func (p *page) command(parts []string) {
	blanks, next := strings.Repeat(" ", headingWidth), "  "
	line := parts[0]
	for _, part := range parts[1:] {
		const end = ` \`
		if len(blanks)+len(line)+len(" "+part)+len(end) > pageWidth(p.w) {
			fmt.Fprintln(p.w, blanks+visible(line)+end)
			line = next + part
			continue
		}
		line += " " + part
	}
	fmt.Fprintln(p.w, blanks+visible(line))
}

// nextCommand is the command that finishes a letter, with the flags that say where it acts: its name, then each flag with its
// value.
func nextCommand(l *deadletter.Letter, way deadletter.Way, at *target) []string {
	name, edit := "licensectl dlq redrive", ""
	switch {
	case way == deadletter.Kept || !l.IsOurs():
		name = "licensectl dlq purge"
	case way == deadletter.Mapped:
		edit = "--edit"
	}
	parts := nonEmpty(name, "--id "+shellWord(l.ID()), edit)
	for _, flag := range at.values() {
		parts = append(parts, "--"+flag[0]+" "+shellWord(flag[1]))
	}
	return append(parts, `--comment "why"`)
}

// plainWord is a text that a shell does not change.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord is a text as one word of a shell's command.
func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// redriveText says what a redrive would do with a letter.
func redriveText(way deadletter.Way, why string) string {
	switch way {
	case deadletter.Released:
		return "releases it: the message passes the brake and the reviews, and its log lines say who released it, when and why"
	case deadletter.Unchanged:
		if why == "" {
			return "sends it unchanged"
		}
	case deadletter.Kept:
		return "does not send it: " + why
	}
	return why
}

// content prints the letter's request, its event, or that it is neither.
func (p *page) content(l *deadletter.Letter) {
	switch {
	case l.Request != nil:
		p.section("REQUEST")
		p.table(requestRows(*l.Request))
	case l.Event != nil:
		p.section("EVENT")
		p.table(eventRows(*l.Event))
	default:
		p.section("CONTENT")
		p.prose(foreignText(l))
	}
}

func eventRows(e deactivation.Event) []row {
	rows := []row{{"id", e.ID}, {"received", timeText(e.ReceivedAt)}}
	if len(e.Missing) > 0 {
		rows = append(rows, row{"missing", strings.Join(e.Missing, ", ")})
	}
	if len(e.Order) > 0 {
		rows = append(rows, row{"order", strings.Join(e.Order, ", ")})
	}
	return append(rows, row{"body", count(len(e.Body), "byte")})
}

func foreignText(l *deadletter.Letter) string {
	return fmt.Sprintf("%s that are not a message of this system; export writes them.", count(l.Size, "byte"))
}

// requestRows are a request's fields, without a key.
func requestRows(r deactivation.Request) []row {
	rows := []row{{"id", r.ID}}
	for _, one := range []row{
		{"action", r.Action}, {"cause", r.Cause}, {"rule", r.Rule}, {"order", strings.Join(r.Order, ", ")}, {"occurred", timeText(r.OccurredAt)},
		{"license_key", deactivation.Shorten(r.LicenseKey)}, {"username", deactivation.Shorten(r.Username)}, {"license_id", r.LicenseID.String()},
		{"product", r.Product}, {"bundle_code", r.BundleCode}, {"hardware_id", deactivation.Shorten(r.HardwareID)}, {"run", r.Run},
	} {
		if one[1] != "" {
			rows = append(rows, one)
		}
	}
	if r.Disable {
		rows = append(rows, row{"disable", "the license, too"})
	}
	if !r.Released.IsZero() {
		rows = append(rows, row{"released", fmt.Sprintf("by %s at %s: %s", r.Released.By, timeText(r.Released.At), r.Released.Reason)})
	}
	return rows
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateTime) + " UTC"
}

// sentence ends a text with a full stop.
func sentence(text string) string { return strings.TrimSuffix(text, ".") + "." }

// letterLine is a letter in JSON.
type letterLine struct {
	ID        string            `json:"id"`
	MessageID string            `json:"message_id"`
	Reason    string            `json:"reason"`
	Code      string            `json:"code,omitempty"`
	Detail    string            `json:"detail,omitempty"`
	Source    string            `json:"source,omitempty"`
	Attempts  int               `json:"attempts,omitempty"`
	At        time.Time         `json:"at"`
	Kind      string            `json:"kind"` // request, event or foreign
	Order     []string          `json:"order,omitempty"`
	Request   map[string]string `json:"request,omitempty"` // keys are shortened
	Missing   []string          `json:"missing,omitempty"`
	Is        string            `json:"is"`
	Do        string            `json:"do"`
	Redrive   string            `json:"redrive"` // unchanged, released, mapped or kept
	Why       string            `json:"why,omitempty"`
	Log       []history.Request `json:"log,omitempty"` // with --logs
}

func lineOf(l *deadletter.Letter) letterLine {
	m := deadletter.MeaningOf(l.DeadLetter)
	way, why := deadletter.Redrive(l, true)
	line := letterLine{
		ID: l.ID(), MessageID: l.MessageID, Reason: string(l.Reason), Code: l.Code, Detail: l.Detail, Source: l.Source, Attempts: l.Attempts,
		At: l.At().UTC(), Kind: kindOf(l), Order: l.Orders(), Is: m.Is, Do: m.Do, Redrive: string(way), Why: why,
	}
	if l.Event != nil {
		line.Missing = l.Event.Missing
	}
	if l.Request != nil {
		line.Request = map[string]string{}
		for _, r := range requestRows(*l.Request) {
			line.Request[r[0]] = r[1]
		}
	}
	return line
}

func kindOf(l *deadletter.Letter) string {
	switch {
	case l.Request != nil:
		return "request"
	case l.Event != nil:
		return "event"
	}
	return "foreign"
}
