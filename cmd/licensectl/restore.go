package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/managementapi"
)

const outcomeEnabled = deactivation.AuditEnabled

// activateAnew is what a restored license's user has to do.
const activateAnew = "Devices stay deactivated: each user activates the application again."

func newRestore(load func() (*source.Sources, error)) *cobra.Command {
	o := resolveOptions{spring: springFlags{sources: load}}
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Enable again the licenses of an order that are disabled",
		Long: `restore looks an order, a license key or a subscription up in LicenseSpring, as resolve does, and shows which of its licenses
are disabled. It only reads, by one call a second to the Management API.

With --comment TEXT and the right count it enables them again, one after another, and reads each one back. N is the number of
disabled licenses, as the preview counts them. It calls the Management API itself: no queue, no worker. Devices that were
deactivated stay so: each user activates the application again.

A license may be disabled for a reason of its own. LicenseSpring does not say who disabled it; the preview shows when.

Exit codes: 0 all well, 1 failed or nothing found, 2 usage, 3 partly, 4 held by a check, a cap or a wrong count.`,
		Example: `  licensectl restore --order pi_3Nx --stack license-deactivator
  licensectl restore --order pi_3Nx --stack license-deactivator --comment "dispute won, ticket 4711" --yes --expect 2
  licensectl restore --key AAAA-BBBB-CCCC-DDDD --secrets secrets.json --json`,
		Args: oneIDByFlag,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.restore(cmd) },
	}
	o.addFlags(cmd)
	return cmd
}

// restore is the command.
func (o *resolveOptions) restore(cmd *cobra.Command) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	if err := o.find(cmd); err != nil {
		return err
	}
	var disabled []managementapi.License
	for _, l := range o.preview.Licenses {
		if !l.License.Enabled {
			disabled = append(disabled, l.License)
		}
	}
	if err := o.printRestore(cmd, disabled); err != nil {
		return err
	}
	if err := o.verdict(); err != nil {
		return err
	}
	act, err := o.allow(cmd, len(disabled), "enable "+count(len(disabled), "license"))
	if err != nil || !act {
		return err
	}
	trail := newAudit(cmd, nil, o.at, o.at.actor(cmd.Context()), o.comment).orStderr(cmd)
	items := o.restoreItems(disabled)
	if err := trail.begin(cmd.Context(), map[string]int{"licenses": len(disabled)}, items...); err != nil {
		return err
	}
	results := o.enable(cmd.Context(), disabled)
	for i, r := range results {
		items[i].Outcome, items[i].Code, items[i].Detail = r.Outcome, r.Code, deactivation.CleanText(r.Message)
	}
	err = o.report(cmd, results, map[string]any{})
	if err == nil {
		err = notAll(results)
	}
	return trail.end(cmd, outcomesOf(results), err, items...)
}

// restoreItems are the licenses as items of the audit. An id says that a restore did it; a request's id is not known here.
func (o *resolveOptions) restoreItems(disabled []managementapi.License) []deactivation.AuditItem {
	restore := "restore-" + strings.ToLower(rand.Text()[:runLength])
	var items []deactivation.AuditItem
	for i, l := range disabled {
		item := deactivation.AuditItem{
			ID: restore + "." + strconv.Itoa(i), License: deactivation.Shorten(l.Key), Product: deactivation.CleanText(l.Product.ShortCode),
			Decision: deactivation.AuditEnable,
		}
		var ids []string
		for _, id := range []string{o.selection.order, o.selection.subscription, l.Order, l.Subscription} {
			if id != "" && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		item.Order = deactivation.JoinTexts(ids)
		if l.Key != "" {
			item.LicenseHash = deactivation.HashLicense(l.Key)
		}
		items = append(items, item)
	}
	return items
}

// printRestore prints the licenses, and which of them would be enabled.
func (o *resolveOptions) printRestore(cmd *cobra.Command, disabled []managementapi.License) error {
	p := o.preview
	if o.asJSON {
		if o.yes && p.Acts() {
			return nil // the results end in the one object with a count
		}
		var lines []any
		for _, l := range p.Licenses {
			found := foundOf(l)
			found.Enable = !l.License.Enabled
			lines = append(lines, found)
		}
		end := restoreEnd{Count: len(disabled), Tried: triedOf(p)}
		if !p.Acts() {
			end.Held, end.Detail = p.Result.Code, p.Result.Detail
		}
		return printObjects(cmd, append(lines, end)...)
	}
	if len(p.Licenses) == 0 {
		return nil // the error says it
	}
	w := cmd.OutOrStdout()
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LICENSE\tKEY\tPRODUCT\tDISABLED\tWILL BE")
	for _, l := range p.Licenses {
		at, will := "no", "left as it is"
		if !l.License.Enabled {
			at, will = dateOf(l.License.TimeDisabled), "enabled"
			if l.License.TimeDisabled.IsZero() {
				at = "yes" // LicenseSpring does not say when
			}
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", l.License.ID, keyOf(l.License), orDash(visible(l.License.Product.ShortCode)), at, will)
	}
	_ = table.Flush() // the command's output keeps its first error
	o.printChecks(w)
	fmt.Fprintf(w, "\n%s to enable, of %s\n", count(len(disabled), "license"), count(len(p.Licenses), "license"))
	if len(disabled) > 0 {
		fmt.Fprintln(w, activateAnew)
	}
	return nil
}

// restoreEnd is the last object of restore's preview in JSON.
type restoreEnd struct {
	Count  int    `json:"count"` // licenses that would be enabled; --expect wants this number
	Held   string `json:"held,omitempty"`
	Detail string `json:"detail,omitempty"`

	Tried []triedID `json:"tried"`
}

// enable enables the licenses, one after another, and reads each back. After an answer that every other call would get,
// the rest is not tried.
func (o *resolveOptions) enable(ctx context.Context, disabled []managementapi.License) (results []resolvedLicense) {
	stopped := ""
	for _, l := range disabled {
		result := resolvedOf(l)
		if stopped != "" {
			result.Outcome, result.Message = outcomeNotSent, "not tried after "+stopped
			results = append(results, result)
			continue
		}
		err := o.keys.management.Enable(ctx, l.ID)
		var now managementapi.License
		if err == nil {
			now, err = o.keys.management.License(ctx, l.ID)
		}
		switch {
		case err != nil:
			result.Outcome, result.Code, result.Message = outcomeFailed, managementapi.CodeOf(err), err.Error()
		case !now.Enabled:
			result.Outcome, result.Code, result.Message = outcomeFailed, "still_disabled", "LicenseSpring answered 200, and the license is disabled when it is read back"
		default:
			result.Outcome = outcomeEnabled
		}
		switch managementapi.KindOf(err) {
		case managementapi.KindUnauthorized, managementapi.KindMisconfigured, managementapi.KindRateLimited:
			stopped = result.Code
		}
		if ctx.Err() != nil {
			stopped = "the interruption"
		}
		results = append(results, result)
	}
	return results
}
