package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/pkg/managementapi"
)

// runLength is how many characters of a random text distinguish one run from another.
const runLength = 8

// resolvePayload is a direct invocation with requests in their wire form: a row alone cannot name a user-based license of
// an order, nor carry a release.
type resolvePayload struct {
	Source   string            `json:"source"`
	Run      string            `json:"run"`
	By       string            `json:"by"`
	Comment  string            `json:"comment"`
	Requests []json.RawMessage `json:"requests"`
}

// resolvedLicense is the result for one license.
type resolvedLicense struct {
	ID      int64  `json:"license"`
	Key     string `json:"key,omitempty"` // its end
	Product string `json:"product"`
	Outcome string `json:"outcome"` // accepted, deactivated, already_inactive, enabled, rejected, failed, not_sent
	Request string `json:"id,omitempty"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

func resolvedOf(l managementapi.License) resolvedLicense {
	return resolvedLicense{ID: l.ID, Key: deactivation.Shorten(l.Key), Product: l.Product.ShortCode}
}

// done reports whether the license is as it was wanted, or is on the way there.
func (r resolvedLicense) done() bool {
	switch r.Outcome {
	case string(deactivation.Accepted), string(deactivation.Deactivated), string(deactivation.AlreadyInactive), outcomeEnabled:
		return true
	}
	return false
}

// resolve is the command.
func (o *resolveOptions) resolve(cmd *cobra.Command, c clock) error {
	if err := o.checkResolve(cmd); err != nil {
		return err
	}
	var needed []resource
	if !o.direct && o.target.given() {
		needed = append(needed, webhookFunctionName)
	}
	if err := o.find(cmd, needed...); err != nil {
		return err
	}
	if err := o.printPreview(cmd); err != nil {
		return err
	}
	if err := o.verdict(); err != nil {
		return err
	}
	if !o.yes && devicesToFree(o.preview) == 0 && toDisable(o.preview) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "Nothing is left to do.")
		return nil
	}
	o.warn(cmd)
	licenses := len(o.preview.Licenses)
	act, err := o.allow(cmd, licenses, o.act())
	if err != nil || !act {
		return err
	}
	by := o.at.actor(cmd.Context())
	trail := newAudit(cmd, nil, o.at, by, o.comment).orStderr(cmd)
	if err := trail.begin(cmd.Context(), map[string]int{"licenses": licenses, "devices": devicesToFree(o.preview), "disable": toDisable(o.preview)}); err != nil {
		return err
	}
	results, err := o.deactivate(cmd, c, by)
	return trail.end(cmd, outcomesOf(results), err)
}

// deactivate acts on the licenses of the preview and prints the results.
func (o *resolveOptions) deactivate(cmd *cobra.Command, c clock, by string) ([]resolvedLicense, error) {
	run := "resolve-" + strings.ToLower(rand.Text()[:runLength])
	todo, results := o.requests(run, by, time.Now())
	if len(todo) > 0 {
		act := o.send
		if o.direct {
			act = o.runWorker(cmd.ErrOrStderr(), c)
		}
		sent, err := act(cmd.Context(), run, by, todo)
		if err != nil {
			return results, err
		}
		results = append(results, sent...)
	}
	if err := o.report(cmd, results, map[string]any{"run": run}); err != nil {
		return results, err
	}
	if !o.direct && !o.asJSON && len(todo) > 0 {
		fmt.Fprintf(cmd.OutOrStdout(), "\nThe worker acts on them now: licensectl why --run %s\n", run)
	}
	return results, notAll(results)
}

// checkResolve refuses flags that cannot be combined.
func (o *resolveOptions) checkResolve(cmd *cobra.Command) error {
	switch {
	case !(o.callsPerSecond > 0): // also refuses NaN
		return misused("leave it out for one call a second", "--calls-per-second must be above 0")
	case !o.direct && cmd.Flags().Changed("calls-per-second"):
		return misused("add --direct, or leave it out", "--calls-per-second goes with --direct")
	case o.direct && o.target.namesAny():
		return misused("leave one of them out", "--direct and --function exclude each other")
	case !o.direct && o.acts(cmd) && !o.target.given():
		return misused("name a stack with --stack or its function with --function, or add --direct", "there is no function to invoke")
	case o.direct && !o.target.given() && (o.spring.licenseAPI == "") != (o.spring.managementAPI == ""):
		return misused("give --license-api and --management-api, or none of them for LicenseSpring's own",
			"--direct with one address alone would call LicenseSpring itself for the rest")
	}
	return o.check(cmd)
}

// act describes what would be done.
func (o *resolveOptions) act() string {
	text := "deactivate " + count(devicesToFree(o.preview), "device") + " of " + count(len(o.preview.Licenses), "license")
	if o.disable {
		text += " and disable " + count(toDisable(o.preview), "license")
	}
	return text
}

// pending is a license with its request.
type pending struct {
	license managementapi.License
	request deactivation.Request
}

// requests returns a request for each license with something to do, and the results of those without.
func (o *resolveOptions) requests(run, by string, now time.Time) (todo []pending, results []resolvedLicense) {
	for _, p := range o.preview.Licenses {
		result := resolvedOf(p.License)
		switch {
		case len(p.Free) == 0 && !p.Disable:
			result.Outcome, result.Code, result.Message = string(deactivation.AlreadyInactive), lookup.CodeNoActiveDevice, "nothing is left to do"
			if !p.License.Enabled {
				result.Code = lookup.CodeAlreadyDisabled
			}
			results = append(results, result)
		case p.License.Key == "" && len(p.License.Users) == 0:
			result.Outcome, result.Message = outcomeNotSent, "it has neither a key nor a user that a request could name: use LicenseSpring's own page"
			results = append(results, result)
		default:
			todo = append(todo, pending{p.License, o.requestOf(p, run, by, now)})
		}
	}
	return todo, results
}

// requestOf names exactly one license: by its key, or by its user within the selection. The worker looks it up again and
// checks it again.
func (o *resolveOptions) requestOf(p lookup.Planned, run, by string, now time.Time) deactivation.Request {
	l := p.License
	r := o.selection.request(now, p.Disable)
	r.ID, r.Run, r.Product = submitSource+".license-"+strconv.FormatInt(l.ID, 10), run, l.Product.ShortCode
	if l.Order != "" {
		r.Order = []string{l.Order}
	}
	if l.Key != "" {
		r.LicenseKey, r.Lookup = l.Key, deactivation.Lookup{}
	} else {
		r.Username = l.Users[0]
	}
	if o.release {
		r.Released = deactivation.Release{By: by, At: now, Reason: o.comment}
	}
	return r
}

// send enqueues the requests by invoking the webhook function.
func (o *resolveOptions) send(ctx context.Context, run, by string, todo []pending) ([]resolvedLicense, error) {
	rows, results, err := o.enqueue(ctx, run, by, todo, o.at.webhookFunction().invoke,
		"it is unknown whether the requests were enqueued; the same command may be run again")
	if err != nil {
		return nil, err
	}
	for i, row := range rows {
		if row.code == deactivation.CodeMissingField {
			results[i].Message += "; is the look-up of the stack on (LookUp=on)?"
		}
	}
	return results, nil
}

// enqueue hands the requests to invoke and returns its answer to each, and the license with that answer, in their order.
// hint is what to do after an error of invoke.
func (o *resolveOptions) enqueue(ctx context.Context, run, by string, todo []pending,
	invoke func(context.Context, []byte) ([]byte, error), hint string,
) ([]sentRow, []resolvedLicense, error) {
	raw, err := o.payload(run, by, todo)
	if err != nil {
		return nil, nil, err
	}
	out, err := invoke(ctx, raw)
	if err != nil {
		return nil, nil, failed(err, hint)
	}
	rows, err := readRows(out, len(todo))
	if err != nil {
		return nil, nil, failed(err, "")
	}
	results := make([]resolvedLicense, len(todo))
	for i, row := range rows {
		results[i] = resolvedOf(todo[i].license)
		results[i].Outcome, results[i].Request, results[i].Code, results[i].Message = row.outcome(), row.id, row.code, row.message
	}
	return rows, results, nil
}

func (o *resolveOptions) payload(run, by string, todo []pending) ([]byte, error) {
	p := resolvePayload{Source: submitSource, Run: run, By: by, Comment: o.comment}
	for _, t := range todo {
		wire, err := t.request.Wire()
		if err != nil {
			return nil, failed(err, "")
		}
		p.Requests = append(p.Requests, json.RawMessage(wire))
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, failed(err, "")
	}
	return raw, nil
}

// report prints the results.
func (o *resolveOptions) report(cmd *cobra.Command, results []resolvedLicense, end map[string]any) error {
	slices.SortFunc(results, func(a, b resolvedLicense) int { return cmp.Compare(a.ID, b.ID) })
	if o.asJSON {
		var lines []any
		for _, r := range results {
			lines = append(lines, r)
		}
		end["count"], end["outcomes"], end["comment"] = doneOf(results), outcomesOf(results), o.comment
		return printObjects(cmd, append(lines, end)...)
	}
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nLICENSE\tOUTCOME\tCODE\tMESSAGE")
	for _, r := range results {
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\n", r.ID, r.Outcome, orDash(r.Code), orDash(visible(r.Message)))
	}
	if err := table.Flush(); err != nil {
		return failed(err, "")
	}
	return nil
}

// outcomesOf counts the results.
func outcomesOf(results []resolvedLicense) map[string]int {
	outcomes := map[string]int{}
	for _, r := range results {
		outcomes[r.Outcome]++
	}
	return outcomes
}

func doneOf(results []resolvedLicense) (done int) {
	for _, r := range results {
		if r.done() {
			done++
		}
	}
	return done
}

// notAll returns the error of results of which not all are done.
func notAll(results []resolvedLicense) error {
	done := doneOf(results)
	return outcomeOf(done, len(results), "%d of %s are not done", len(results)-done, count(len(results), "license"))
}
