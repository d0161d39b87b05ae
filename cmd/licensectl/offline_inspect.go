package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/signing"
)

func newOfflineInspect() *cobra.Command {
	var secretsFile string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect FILE...",
		Short: "Show what request files request, and whether your keys signed them",
		Long: `inspect reads request files (.req), "-" from stdin, and shows which license and device each one names.
With --secrets it also compares the signatures with those that your keys make, in the documented form and in those of
LicenseSpring's Python and Node SDKs. Keys and devices are shown by their last four characters.

Nothing is sent. A verified file can still be refused by the License API.

Exit code 1 when a file cannot be read, or when a signature does not match the keys of --secrets.`,
		Example: `  licensectl offline inspect deactivate_offline.req
  licensectl offline inspect *.req --secrets secrets.json --json`,
		Args: takes(cobra.MinimumNArgs(1), "a FILE", "give request files, such as deactivate_offline.req"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var signer *signing.OfflineSigner
			if secretsFile != "" {
				keys, err := licenseKeys(secretsFile)
				if err != nil {
					return err
				}
				if signer, err = offlineSigner(keys); err != nil {
					return err
				}
			}
			files := readRequestFiles(cmd.InOrStdin(), args)
			wrong := 0
			for _, f := range files {
				i := inspect(f, signer)
				if i.Error != "" || i.Verified != nil && !*i.Verified {
					wrong++
				}
				if asJSON {
					_ = json.NewEncoder(cmd.OutOrStdout()).Encode(i) //nolint:errchkjson // texts and numbers
				} else {
					i.print(cmd.OutOrStdout())
				}
			}
			if wrong > 0 {
				return failed(fmt.Errorf("%d of %s cannot be read or verified", wrong, count(len(files), "file")), "")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&secretsFile, "secrets", "", `file with {"license_api":{…},"webhooks":{…}} to verify with`)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each file")
	return cmd
}

// inspection is inspect's result for a file.
type inspection struct {
	File      string   `json:"file"`
	Error     string   `json:"error,omitempty"`
	Schema    int      `json:"schema,omitempty"`
	Request   string   `json:"request,omitempty"`
	RequestID string   `json:"request_id,omitempty"`
	Product   string   `json:"product,omitempty"`
	License   string   `json:"license,omitempty"` // shortened, like all names of customers
	Device    string   `json:"device,omitempty"`
	Account   string   `json:"account,omitempty"`
	Date      string   `json:"date,omitempty"`
	SDK       string   `json:"sdk,omitempty"`
	Fields    []string `json:"fields,omitempty"`
	Verified  *bool    `json:"verified,omitempty"` // absent without --secrets
	V1        string   `json:"signature_v1,omitempty"`
	V2        string   `json:"signature_v2,omitempty"`
	Notes     []string `json:"notes,omitempty"`
}

// inspect explains a file. signer may be nil: then it verifies nothing.
func inspect(f requestFile, signer *signing.OfflineSigner) inspection {
	i := inspection{File: f.name}
	if f.err != nil {
		i.Error = f.err.Error()
		return i
	}
	clean := deactivation.CleanText
	i.Schema, i.Request, i.RequestID, i.Product, i.Date, i.SDK = f.Schema, clean(f.Request), clean(f.RequestID), clean(f.Product), clean(f.Date), clean(f.SDKVer)
	i.License = f.licenseName()
	i.Device = clean(deactivation.Shorten(f.HardwareID))
	switch {
	case f.APIKey != "":
		i.Account = "API key " + clean(deactivation.Shorten(f.APIKey))
	case f.ClientID != "":
		i.Account = "OAuth client " + clean(f.ClientID)
	}
	for _, name := range f.Names {
		i.Fields = append(i.Fields, clean(name))
	}
	i.Notes = f.notes()
	if f.Schema == 1 {
		i.Notes = append(i.Notes, "the signature of schema 1 covers the license, the device and the date, not the product and not the kind of request")
	}
	if signer == nil {
		return i
	}
	v := signer.Check(f.RequestFile)
	ok := v.OK()
	i.Verified, i.V1, i.V2 = &ok, v.V1.String(), v.V2.String()
	if !v.Account {
		i.Notes = append(i.Notes, "it names another account than that of --secrets")
	}
	return i
}

// licenseName is the license key or the user, shortened.
func (f requestFile) licenseName() string {
	if f.LicenseKey != "" {
		return "key " + deactivation.CleanText(deactivation.Shorten(f.LicenseKey))
	}
	if f.Username != "" {
		return "user " + deactivation.CleanText(deactivation.Shorten(f.Username))
	}
	return ""
}

func (i inspection) print(w io.Writer) {
	fmt.Fprintln(w, i.File)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-10s %s\n", name, value)
		}
	}
	if i.Error != "" {
		line("error", i.Error)
		return
	}
	line("schema", fmt.Sprint(i.Schema))
	line("request", cmp.Or(i.Request, "-"))
	line("id", i.RequestID)
	line("product", cmp.Or(i.Product, "-"))
	line("license", cmp.Or(i.License, "-"))
	line("device", cmp.Or(i.Device, "-"))
	line("account", cmp.Or(i.Account, "-"))
	line("date", i.Date)
	line("sdk", i.SDK)
	line("fields", strings.Join(i.Fields, ", "))
	switch {
	case i.Verified == nil:
		line("signature", "not verified: give --secrets FILE")
	default:
		line("schema v1", i.V1)
		if i.Schema == 2 {
			line("schema v2", i.V2)
		}
		verdict := "no: the API would probably refuse it (signature_mismatch)"
		if *i.Verified {
			verdict = "yes, by these keys"
		}
		line("verified", verdict)
	}
	for _, note := range i.Notes {
		line("note", note)
	}
}
