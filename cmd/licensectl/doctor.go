package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"license-deactivator/internal/source"
)

// States of a check.
const (
	stateOK      = "ok"
	stateWarning = "warning"
	stateFailed  = "failed"
)

// checked is the result of one check.
type checked struct {
	Check  string `json:"check"`
	State  string `json:"state"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"` // what to do, unless it is ok
}

type doctorOptions struct {
	target target
	spring springFlags
	asJSON bool
}

func newDoctor(load func() (*source.Sources, error)) *cobra.Command {
	o := doctorOptions{spring: springFlags{sources: load}}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check a deployment by harmless calls: keys, queues, secrets, senders, alarms",
		Long: `doctor checks what a deployment needs, and prints for each check ok, warning or failed, with what to do. It changes nothing:
it reads settings, secrets and queues, asks the License API to deactivate a license that cannot exist, asks the Management API
for ids that cannot exist, and posts an unsigned delivery to each sender's address, which must be refused.

With --stack it checks everything. With --function, --queue-url, --dead-letter-queue-url or --secrets it checks these alone;
--endpoint-url http://` + defaultAddress + ` is a running licensectl local.

Exit codes: 0 all ok or with warnings, 1 something failed, 2 usage.`,
		Example: `  licensectl doctor --stack license-deactivator
  licensectl doctor --secrets secrets.json
  licensectl doctor --endpoint-url http://` + defaultAddress + ` --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.target.addFlags(cmd, webhookFunctionName, queueURL, deadLetterQueueURL)
	o.spring.addFlags(cmd)
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object for each check, and one with the counts at the end")
	return cmd
}

func (o *doctorOptions) run(cmd *cobra.Command) error {
	if !o.target.given() && o.spring.secretsFile == "" {
		return misused("name a deployed stack with --stack, or the file with the keys with --secrets", "there is nothing to check")
	}
	if err := o.target.check(); err != nil {
		return err
	}
	if !(o.spring.managementPerMinute > 0) { // also refuses NaN
		return misused("leave it out for one call a second", "--management-calls-per-minute must be above 0")
	}
	if err := cmp.Or(checkLicenseAPI(o.spring.licenseAPI), checkManagementAPI(o.spring.managementAPI)); err != nil {
		return err
	}
	d := &doctor{options: o, out: cmd.OutOrStdout(), cmd: cmd, counts: map[string]int{}}
	d.examine(cmd.Context())
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	return d.end()
}

// doctor is one run. A check that fails does not stop the others, except those that need its result.
type doctor struct {
	options *doctorOptions
	out     io.Writer
	cmd     *cobra.Command
	counts  map[string]int // by state
	err     error          // of the output

	at      *place          // nil: no target, or one that cannot be opened
	sources *source.Sources // nil: a file is wrong
	keys    *spring         // nil: no license secret
}

// examine makes all checks.
func (d *doctor) examine(ctx context.Context) {
	d.checkSources()
	d.checkTarget(ctx)
	d.checkFunctions(ctx)
	d.checkQueues(ctx)
	d.checkLogs(ctx)
	d.checkLicenseSecret(ctx)
	d.checkLicenseAPI(ctx)
	d.checkManagementAPI(ctx)
	d.checkSenders(ctx)
	d.checkAlarms(ctx)
}

// report prints the result of one check.
func (d *doctor) report(state, check, hint, format string, args ...any) {
	r := checked{Check: check, State: state, Detail: fmt.Sprintf(format, args...), Hint: hint}
	if state == stateOK {
		r.Hint = ""
	}
	d.counts[state]++
	if d.options.asJSON {
		d.err = errors.Join(d.err, printObjects(d.cmd, r))
		return
	}
	const indent = 27 // of the detail
	fmt.Fprintln(d.out, fold(d.out, fmt.Sprintf("%-8s %-17s %s", r.State, r.Check, visible(r.Detail)), indent))
	if r.Hint != "" {
		fmt.Fprintln(d.out, fold(d.out, strings.Repeat(" ", indent)+"hint: "+visible(r.Hint), indent))
	}
}

func (d *doctor) ok(check, format string, args ...any) { d.report(stateOK, check, "", format, args...) }

func (d *doctor) warn(check, hint, format string, args ...any) {
	d.report(stateWarning, check, hint, format, args...)
}

func (d *doctor) fail(check, hint, format string, args ...any) {
	d.report(stateFailed, check, hint, format, args...)
}

// failWith reports an error, with its own hint if it has one.
func (d *doctor) failWith(check string, err error) {
	hint := ""
	if f, ok := errors.AsType[*failure](err); ok {
		hint = f.hint
	}
	d.fail(check, hint, "%v", err)
}

// end prints the counts and decides the exit code.
func (d *doctor) end() error {
	if d.err != nil {
		return d.err
	}
	if d.options.asJSON {
		err := printObjects(d.cmd, map[string]int{stateOK: d.counts[stateOK], stateWarning: d.counts[stateWarning], stateFailed: d.counts[stateFailed]})
		if err != nil {
			return err
		}
	} else {
		fmt.Fprintf(d.out, "\n%d ok, %s, %d failed\n", d.counts[stateOK], count(d.counts[stateWarning], "warning"), d.counts[stateFailed])
	}
	if n := d.counts[stateFailed]; n > 0 {
		return failed(fmt.Errorf("%s failed", count(n, "check")), "")
	}
	return nil
}
