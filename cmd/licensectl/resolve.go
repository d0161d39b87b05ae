package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/managementapi"
)

// resolveOptions are the flags of resolve and restore.
type resolveOptions struct {
	confirmation
	selection
	target  target
	spring  springFlags
	release bool
	asJSON  bool

	// of resolve
	disable        bool
	direct         bool
	callsPerSecond float64

	at      *place  // nil: no target is given
	keys    *spring // once open
	preview lookup.Preview
}

func newResolve(load func() (*source.Sources, error), c clock) *cobra.Command {
	o := resolveOptions{spring: springFlags{sources: load}}
	cmd := &cobra.Command{
		Use:   "resolve",
		Short: "Show the licenses and devices of an order, and deactivate them",
		Long: `resolve looks an order, a license key or a subscription up in LicenseSpring, as the worker does for an event without a
device, and shows what it finds: the licenses, their active devices, the checks, and what would be done. It only reads, by
one call a second to the Management API.

With --comment TEXT and the right count it deactivates every active device, and with --disable also disables the licenses,
so that no device can be activated again. N is the number of licenses that the preview counts. Each license becomes one
request: the webhook function enqueues it for the worker. With --direct the same worker runs in this process, with the keys
of --secrets or of the stack, and resolve waits for the outcomes.

The checks of the look-up hold resolve as they hold the worker: more than 10 licenses, more than 50 devices, a record that
does not match. --release passes the first two for this run. Nothing passes a record that does not match.

Keys and addresses are those of --stack, or of --secrets with --license-api and --management-api. A running licensectl local
is --endpoint-url http://` + defaultAddress + `.

Exit codes: 0 all well, 1 failed or nothing found, 2 usage, 3 partly, 4 held by a check, a cap or a wrong count.`,
		Example: `  licensectl resolve --order pi_3Nx --stack license-deactivator
  licensectl resolve --order pi_3Nx --stack license-deactivator --disable --comment "ticket 4711" --yes --expect 2
  licensectl resolve --key AAAA-BBBB-CCCC-DDDD --secrets secrets.json --direct --comment "ticket 4711"
  licensectl resolve --subscription sub_1 --endpoint-url http://` + defaultAddress + ` --json`,
		Args: oneIDByFlag,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.resolve(cmd, c) },
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.direct, "direct", false, "run the worker in this process instead of sending to the webhook function")
	f.Float64Var(&o.callsPerSecond, "calls-per-second", 1, "with --direct: calls to the License API a second")
	f.BoolVar(&o.disable, "disable", false, "disable the licenses, too: no device can be activated again (undo: licensectl restore)")
	return cmd
}

// addFlags adds the flags that resolve and restore share.
func (o *resolveOptions) addFlags(cmd *cobra.Command) {
	o.selection.addFlags(cmd)
	o.confirmation.addFlags(cmd, "licenses")
	o.target.addFlags(cmd, webhookFunctionName)
	o.spring.addFlags(cmd)
	cmd.Flags().BoolVar(&o.release, "release", false, "act although there are more licenses or devices than the look-up acts on")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object for each license, and one with the count at the end")
}

// acts reports whether the flags ask for more than a preview.
func (o *resolveOptions) acts(cmd *cobra.Command) bool {
	return o.yes || o.comment != "" && isTerminal(cmd.InOrStdin())
}

// check refuses flags that cannot be combined.
func (o *resolveOptions) check(cmd *cobra.Command) error {
	for _, check := range []func() error{
		func() error { return o.selection.check(cmd) },
		func() error { return o.confirmation.check(cmd) },
		func() error { return o.target.check() },
		func() error { return o.spring.check(&o.target) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// find opens the target and the APIs, and reads what would be done.
func (o *resolveOptions) find(cmd *cobra.Command, needed ...resource) error {
	ctx := cmd.Context()
	if o.target.given() {
		if o.target.stack != "" {
			needed = append(needed, licenseAPISecretARN, workerFunctionName, webhookFunctionName)
		}
		at, err := o.target.open(ctx, needed...)
		if err != nil {
			return err
		}
		o.at = at
	}
	keys, err := o.spring.open(ctx, o.at)
	if err != nil {
		return err
	}
	o.keys = keys
	if isTerminal(cmd.InOrStdin()) {
		fmt.Fprintf(cmd.ErrOrStderr(), "Reading from LicenseSpring, %.0f calls a minute …\n", o.spring.managementPerMinute)
	}
	finder, err := lookup.New(lookup.Config{})
	if err != nil {
		return failed(err, "")
	}
	o.preview = finder.Preview(ctx, lookup.Job{
		Request: o.selection.request(time.Now(), o.disable), Management: keys.management, Released: o.release,
		Deactivate: func(context.Context, deactivation.License) lookup.Answer { return lookup.Answer{} }, // a preview calls nothing
	})
	return ctx.Err()
}

// warn says what keeps the stack from acting on what resolve would send.
func (o *resolveOptions) warn(cmd *cobra.Command) {
	watches := o.at != nil && o.at.watches() || o.keys.watches
	if o.direct {
		if watches {
			fmt.Fprintln(cmd.ErrOrStderr(), "licensectl: warning: the stack is in watch mode, and --direct deactivates all the same")
		}
		return
	}
	if watches {
		fmt.Fprintln(cmd.ErrOrStderr(), "licensectl: warning: the worker is in watch mode: it deactivates nothing, and requests end as dead letters (watched)")
	}
	if o.keys.fromWorker && !o.keys.lookUpIsOn {
		fmt.Fprintln(cmd.ErrOrStderr(), "licensectl: warning: the worker has no look-up (LookUp=off): it refuses requests without a device")
	}
}

// verdict turns what the look-up says into an error: nothing was found, it failed, or a check holds the selection. Nil: it
// may be acted on.
func (o *resolveOptions) verdict() error {
	r := o.preview.Result
	switch {
	case o.preview.Acts():
		return nil
	case r.Code == lookup.CodeNoLicense:
		return failed(fmt.Errorf("LicenseSpring has no license of the %s", &o.selection),
			"an id must be exact; docs/lookup.md says which id of a store to give to LicenseSpring")
	case r.Outcome == deactivation.Deferred:
		return failed(errors.New(r.Detail), lookupHint(r))
	case lookup.IsReview(r.Code) && o.release:
		return held("there are more than one command reads: act on them by license key", "held: %s: %s", r.Code, r.Detail)
	case lookup.IsReview(r.Code):
		return held("look at the licenses above; --release acts on all of them", "held: %s: %s", r.Code, r.Detail)
	case r.Code == lookup.CodeMismatch:
		return held("nothing releases it: compare the license with its order in LicenseSpring", "held: %s: %s", r.Code, r.Detail)
	}
	return failed(fmt.Errorf("%s: %s", r.Code, r.Detail), "")
}

// lookupHint returns what to do about a failure of the Management API.
func lookupHint(r lookup.Result) string {
	switch {
	case managementapi.KindOf(r.Err) == managementapi.KindUnauthorized: // the fault names the worker's variable
		return "the Management API refuses the key: put a current management_api_key that may read and change licenses into the file of " +
			"--secrets, or into the stack's license secret"
	case r.Fault != "":
		return r.Fault
	case managementapi.KindOf(r.Err) == managementapi.KindRateLimited:
		return "the company's quota of the Management API is used up: try again in a minute"
	case r.Code == lookup.CodeUntrusted:
		return "nothing was written: ask LicenseSpring"
	}
	return "try again; if it lasts, check the address (--management-api)"
}
