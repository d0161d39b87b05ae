package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/local"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/source"
	"license-deactivator/internal/webhook"
)

func newSourcesCheck(f *files) *cobra.Command {
	var secretsFile string
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "Find errors and dangers in the senders' files, with file and line",
		Long: `check reads every sender's file of DIR (default: those of --sources, else the built-in ones) and prints each error with
file and line: unknown keys, expressions that do not compile or fail, rules that can never match. It also finds dangers: rules that match every event, or events without the fields that they name; comparisons of two fields that may
both be missing; pings that match events; long tolerances; files that are never read. Then it maps the samples in
events/ next to DIR, or the built-in ones: each must have the result that its own file expects. A rule that no sample
reaches is a warning; disabled rules are named. The ids by which the look-up finds an order are listed, with their marks (weak, buyer), and
whether the license is disabled; the samples are mapped with the look-up off and on. With --secrets it also finds secrets that cannot be used,
and names the senders without a secret.

Exit code 1 for errors; with only warnings it is 0.`,
		Example: `  licensectl sources check
  licensectl sources check sources
  licensectl sources check my-sources --secrets secrets.json`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of := *f
			if len(args) == 1 {
				of.dir = args[0]
			}
			c := &check{files: &of, w: cmd.OutOrStdout()}
			return c.run(secretsFile)
		},
	}
	cmd.Flags().StringVar(&secretsFile, "secrets", "", `file with {"license_api":{…},"webhooks":{…}}to find unusable secrets`)
	return cmd
}

// check prints each finding at once, and counts.
type check struct {
	files           *files
	w               io.Writer
	faults, warning int
}

func (c *check) fault(where, format string, args ...any) {
	c.faults++
	fmt.Fprintf(c.w, "%s: error: %s\n", where, fmt.Sprintf(format, args...))
}

func (c *check) warn(where, format string, args ...any) {
	c.warning++
	fmt.Fprintf(c.w, "%s: warning: %s\n", where, fmt.Sprintf(format, args...))
}

// file returns the path of a sender's file.
func (c *check) file(name string) string {
	dir := c.files.dir
	if dir == "" {
		dir = "sources"
	}
	return filepath.Join(dir, name)
}

func (c *check) run(secretsFile string) error {
	c.unread()
	if err := c.files.checkFolder(); err != nil {
		return err
	}
	sources, err := source.Load(c.files.sources())
	var many interface{ Unwrap() []error }
	switch {
	case errors.As(err, &many):
		for _, one := range many.Unwrap() {
			where, what := cutLine(one.Error())
			c.fault(c.file(where), "%s", what)
		}
		return c.result("the samples were not tried")
	case err != nil:
		return failed(err, "")
	}
	samples, err := sample.ReadAll(c.files.events())
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			c.fault("events", "%s", strings.TrimPrefix(strings.TrimSpace(line), "samples: "))
		}
		return c.result("the samples were not tried")
	}
	rules, off := 0, 0
	for _, name := range sources.Names() {
		source, _ := sources.Get(name)
		theirs := slices.DeleteFunc(slices.Clone(samples), func(s sample.Sample) bool { return s.Source != name })
		c.dangers(source)
		c.source(source, theirs)
		for _, r := range source.Rules() {
			if rules++; !r.Enabled {
				off++
			}
		}
	}
	if secretsFile != "" {
		if err := c.secrets(secretsFile, sources); err != nil {
			return err
		}
	}
	return c.result(fmt.Sprintf("%s, %s of which %d are switched off, %s",
		count(len(sources.Names()), "sender"), count(rules, "rule"), off, count(len(samples), "sample")))
}

// cutLine splits "stripe.yaml:12: the problem" after the line.
func cutLine(text string) (where, what string) {
	file, rest, _ := strings.Cut(text, ":")
	line, what, found := strings.Cut(rest, ":")
	if !found {
		return file, strings.TrimSpace(rest)
	}
	return file + ":" + line, strings.TrimSpace(what)
}

func (c *check) result(of string) error {
	if c.faults == 0 {
		fmt.Fprintf(c.w, "%s: nothing is wrong, %s.\n", of, count(c.warning, "warning"))
		return nil
	}
	fmt.Fprintf(c.w, "%s: %s, %s.\n", of, count(c.faults, "error"), count(c.warning, "warning"))
	return failed(fmt.Errorf("%s in the senders' files", count(c.faults, "error")), "correct them at the named lines; the schema is in docs/sources.md")
}

// source maps a sender's samples by its file.
func (c *check) source(src *source.Source, samples []sample.Sample) {
	reached := map[string]bool{}
	for _, sample := range samples {
		before := c.faults
		for _, lookUp := range []bool{false, true} {
			e := webhook.Explain(src, delivery(sample.Body, sample.Headers), time.Now(), nil, webhook.Policy{LookUp: lookUp})
			for _, event := range e.Events {
				reached[event.Rule] = true
			}
			if c.faults == before { // one fault of a sample is enough
				c.sample(src, sample.Expected(lookUp), e)
			}
		}
	}
	for _, l := range src.LookUps() {
		fmt.Fprintf(c.w, "%s:%d: look-up: %s\n", c.file(src.Name+".yaml"), l.Line, describeLookUp(l))
	}
	for _, r := range src.Rules() {
		where := fmt.Sprintf("%s:%d", c.file(src.Name+".yaml"), r.Line)
		switch {
		case !r.Enabled:
			fmt.Fprintf(c.w, "%s: off: rule %q is switched off\n", where, r.Name)
		case !reached[r.Name]:
			c.warn(where, "no sample in events/%s reaches the rule %q", src.Name, r.Name)
		}
	}
}

// describeLookUp says by what the licenses of a rule's events are looked up, and whether they are disabled.
func describeLookUp(l source.LookedUp) string {
	if l.Rule == "" {
		return "by " + l.By
	}
	by := ""
	if l.By != "" {
		by = l.By + "; "
	}
	disables := "disables nothing"
	if l.Disables {
		disables = "disables the license"
	}
	return fmt.Sprintf("rule %q: %s%s", l.Rule, by, disables)
}

// sample compares the result of a sample with the one that its own file expects.
func (c *check) sample(src *source.Source, sample sample.Sample, e webhook.Explanation) {
	of := "events/" + sample.Name() + ".yaml"
	if e.Refused != "" {
		c.fault(of, "it is refused: %s", e.Refused)
		return
	}
	if len(e.Events) == 0 {
		c.fault(of, "it holds no event")
		return
	}
	first := e.Events[0]
	for _, event := range e.Events {
		if event.Answer == sample.Answer {
			first = event
			break
		}
	}
	for _, event := range e.Events {
		if event.Code == deactivation.CodeUnreadable && sample.Code != event.Code && sample.Problem == "" {
			c.fault(of, "%s", event.Problem)
			return
		}
		if event.Problem == "" || sample.Problem != "" || event.Code != "" && event.Code == sample.Code {
			continue
		}
		where := c.file(src.Name + ".yaml")
		if i := slices.IndexFunc(src.Rules(), func(r source.Rule) bool { return r.Name == event.Rule }); i >= 0 {
			where = fmt.Sprintf("%s:%d", where, src.Rules()[i].Line)
		}
		c.fault(where, "on the sample %s: %s", sample.Name(), event.Problem)
		return
	}
	if first.Answer != sample.Answer || first.Rule != sample.Rule || first.Code != sample.Code {
		c.fault(of, "it says %s%s%s, but the event is %s%s%s",
			sample.Answer, withCode(sample.Code), byRule(sample.Rule), first.Answer, withCode(first.Code), byRule(first.Rule))
	}
}

func withCode(code string) string {
	if code == "" {
		return ""
	}
	return " (" + code + ")"
}

func byRule(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" by the rule %q", name)
}

// secrets checks each sender's secrets. A file may hold only those of some senders: the others are named.
func (c *check) secrets(file string, sources *source.Sources) error {
	webhooks, err := webhookSecrets(file)
	if err != nil {
		return err
	}
	var without []string
	verifying := local.Verifying(sources, *webhooks)
	for _, name := range sources.Names() {
		texts, err := webhooks.Keys(name)
		if err == nil && len(texts) == 0 {
			without = append(without, name)
			continue
		}
		if source, _ := sources.Get(name); err == nil {
			public, _ := verifying.Keys(name)
			if err = source.CheckKeys(public); err == nil && !slices.Equal(texts, public) {
				c.warn(file, "a secret of %q is a private key: it signs samples on this machine; store its public key alone in AWS", name)
			}
		}
		if err != nil {
			c.fault(file, "%v", err)
		}
	}
	if len(without) > 0 {
		fmt.Fprintf(c.w, "%s: skipped: no secret for %s; with this file their deliveries are answered with 404\n", file, strings.Join(without, ", "))
	}
	for _, name := range webhooks.Sources() {
		if _, ok := sources.Get(name); !ok {
			c.warn(file, "there is a secret for %q, but no sender's file", name)
		}
	}
	return nil
}
