package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
	"license-deactivator/pkg/managementapi"
)

// foundLicense is one license of a preview, in JSON.
type foundLicense struct {
	ID           int64         `json:"license"`
	Key          string        `json:"key,omitempty"` // its end; "": user-based
	Product      string        `json:"product"`
	Order        string        `json:"order,omitempty"`
	Subscription string        `json:"subscription,omitempty"`
	Status       string        `json:"status,omitempty"`
	Enabled      bool          `json:"enabled"`
	DisabledAt   *time.Time    `json:"disabled_at,omitempty"`
	Devices      []foundDevice `json:"devices,omitempty"` // active ones
	Disable      bool          `json:"disable,omitempty"` // resolve would disable it
	Enable       bool          `json:"enable,omitempty"`  // restore would enable it
}

type foundDevice struct {
	Device    string     `json:"device"` // its hardware id's end
	Activated *time.Time `json:"activated,omitempty"`
	LeftAlone bool       `json:"left_alone,omitempty"`
}

// previewEnd is the last object of a preview in JSON.
type previewEnd struct {
	Count   int    `json:"count"`             // licenses; --expect wants this number
	Devices int    `json:"devices"`           // active devices of these licenses that would be deactivated
	Disable int    `json:"disable,omitempty"` // licenses that would be disabled
	Held    string `json:"held,omitempty"`    // code of the check that holds all of it
	Detail  string `json:"detail,omitempty"`  // what it says

	Tried []triedID `json:"tried"`
}

// triedID is an id by which licenses were looked up.
type triedID struct {
	By    string `json:"by"`    // the filter's name in the Management API
	Value string `json:"value"` // a license key's end
	Found int    `json:"found"`
	Note  string `json:"note,omitempty"` // why they do not count
}

func triedOf(p lookup.Preview) []triedID {
	tried := []triedID{}
	for _, t := range p.Result.Report.Tried {
		tried = append(tried, triedID(t))
	}
	return tried
}

func foundOf(p lookup.Planned) foundLicense {
	l := p.License
	f := foundLicense{
		ID: l.ID, Key: deactivation.Shorten(l.Key), Product: l.Product.ShortCode, Order: l.Order, Subscription: l.Subscription,
		Status: l.Status, Enabled: l.Enabled, DisabledAt: known(l.TimeDisabled), Disable: p.Disable,
	}
	for _, devices := range []struct {
		all  []managementapi.Device
		late bool
	}{{p.Free, false}, {p.Late, true}} {
		for _, d := range devices.all {
			f.Devices = append(f.Devices, foundDevice{Device: deactivation.Shorten(d.HardwareID), Activated: known(d.TimeActivated), LeftAlone: devices.late})
		}
	}
	return f
}

// known returns nil for a time that the record does not say.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// devicesToFree counts the devices that would be deactivated.
func devicesToFree(p lookup.Preview) (n int) {
	for _, l := range p.Licenses {
		n += len(l.Free)
	}
	return n
}

// toDisable counts the licenses that would be disabled.
func toDisable(p lookup.Preview) (n int) {
	for _, l := range p.Licenses {
		if l.Disable {
			n++
		}
	}
	return n
}

// printPreview prints what was found and what would be done, for people or as JSON.
func (o *resolveOptions) printPreview(cmd *cobra.Command) error {
	p := o.preview
	if o.asJSON {
		if o.yes && p.Acts() {
			return nil // the results end in the one object with a count
		}
		var lines []any
		for _, l := range p.Licenses {
			lines = append(lines, foundOf(l))
		}
		end := previewEnd{Count: len(p.Licenses), Devices: devicesToFree(p), Disable: toDisable(p), Tried: triedOf(p)}
		if !p.Acts() {
			end.Held, end.Detail = p.Result.Code, p.Result.Detail
		}
		return printObjects(cmd, append(lines, end)...)
	}
	if len(p.Licenses) == 0 {
		return nil // the error says it
	}
	w := cmd.OutOrStdout()
	o.printLicenses(w)
	printDevices(w, p)
	o.printChecks(w)
	fmt.Fprintf(w, "\n%s with %s to deactivate", count(len(p.Licenses), "license"), count(devicesToFree(p), "active device"))
	if o.disable {
		fmt.Fprintf(w, ", %s to disable", count(toDisable(p), "license"))
	}
	fmt.Fprintln(w)
	return nil
}

func (o *resolveOptions) printLicenses(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LICENSE\tKEY\tPRODUCT\tSTATE\tDEVICES\tDISABLE")
	for _, l := range o.preview.Licenses {
		disable := "no"
		switch {
		case l.Disable:
			disable = "yes"
		case !l.License.Enabled:
			disable = "done"
		}
		devices := strconv.Itoa(len(l.Free))
		if !o.preview.Acts() && l.Free == nil {
			devices = "-" // not read
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", l.License.ID, keyOf(l.License), orDash(visible(l.License.Product.ShortCode)), stateOf(l.License), devices, disable)
	}
	_ = table.Flush() // the command's output keeps its first error
}

func printDevices(w io.Writer, p lookup.Preview) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	header := "\nDEVICE\tLICENSE\tACTIVATED\tWILL BE\n"
	for _, l := range p.Licenses {
		line := func(d managementapi.Device, will string) {
			fmt.Fprintf(table, "%s%s\t%d\t%s\t%s\n", header, visible(deactivation.Shorten(d.HardwareID)), l.License.ID, dateOf(d.TimeActivated), will)
			header = ""
		}
		for _, d := range l.Free {
			line(d, "deactivated")
		}
		for _, d := range l.Late {
			line(d, "left alone")
		}
	}
	_ = table.Flush() // the command's output keeps its first error
}

// printChecks prints what was checked before these licenses were shown, and what holds them.
func (o *resolveOptions) printChecks(w io.Writer) {
	fmt.Fprintf(w, "\nCHECKS\n  each license has exactly this %s\n  an impossible value finds no license\n", o.by)
	if o.preview.Acts() {
		fmt.Fprintln(w, "  each device is of its license\n  no cap or review holds them")
		return
	}
	fmt.Fprintf(w, "  HELD by %s\n", o.preview.Result.Code)
}

func keyOf(l managementapi.License) string {
	if l.Key == "" {
		return "user"
	}
	return deactivation.Shorten(l.Key)
}

func stateOf(l managementapi.License) string {
	if l.Enabled {
		return "enabled"
	}
	return "disabled"
}

func dateOf(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateOnly)
}

// printObjects prints one JSON object a line.
func printObjects(cmd *cobra.Command, objects ...any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	for _, object := range objects {
		if err := enc.Encode(object); err != nil {
			return failed(err, "")
		}
	}
	return nil
}
