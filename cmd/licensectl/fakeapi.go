package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/local"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const (
	defaultFakeAddress = "127.0.0.1:8090"
	exampleFault       = "storm" // in the examples of --help; a test holds that it exists
	maxStateBytes      = 64 << 20
)

// The fixed keys of the fake License API and the fixed secrets of the webhooks: for trying on this machine, known to
// everybody, and of no use anywhere else.
const (
	localAPIKey    = "local-api-key" //nolint:gosec // known to everybody, as the comment says
	localSharedKey = "local-shared-key"
)

// fixedSecrets are the secrets without --secrets, for every sender that there is a file for. Samples are signed with
// them.
func fixedSecrets(sources *webhook.Sources) local.Secrets {
	marshal := func(v any) json.RawMessage {
		raw, _ := json.Marshal(v) //nolint:errchkjson // texts
		return raw
	}
	texts := map[string]string{}
	for _, name := range sources.Names() {
		source, _ := sources.Get(name)
		texts[name] = fixedSecret(source)
	}
	return local.Secrets{
		LicenseAPI: marshal(map[string]string{"api_key": localAPIKey, "shared_key": localSharedKey}),
		Webhooks:   marshal(texts),
	}
}

// fixedSecret is one sender's, in the form that its file asks for.
func fixedSecret(source *webhook.Source) string {
	switch source.Name {
	case "stripe":
		return "whsec_local_stripe"
	case "shopify":
		return "shpss_local_shopify"
	case "paddle":
		return "pdl_ntfset_local_paddle"
	case "chargebee":
		return "local:chargebee"
	case "standard":
		return "whsec_bG9jYWwtc3RhbmRhcmQtd2ViaG9va3Mtc2VjcmV0LTAx"
	}
	plain := "local-" + source.Name
	encoded := base64.StdEncoding.EncodeToString([]byte(plain + "-webhooks-secret"))
	for _, text := range []string{plain, encoded, "whsec_" + encoded} {
		if source.CheckKeys([]string{text}) == nil {
			return text
		}
	}
	return plain
}

func newFakeAPI() *cobra.Command {
	var addr, stateFile string
	var faults []string
	cmd := &cobra.Command{
		Use:   "fake-api",
		Short: "Run the fake License API alone",
		Long: `fake-api answers POST /api/v4/deactivate_license and deactivate_bundle as LicenseSpring's License API does: it
checks the date, the signature and the license, and keeps which devices are active. A bundle is deactivated on every
license with that "bundle" and key. It is for trying; nothing of it reaches LicenseSpring.

--state names a file with
  {"api_keys":{"key":"shared"},"licenses":[{"product":"XY","license_key":"…","devices":["hw1"],"enabled":true}]}
and, for OAuth, "clients":{"id":"secret"}; their tokens come from POST ` + licenseapitest.TokenPath + `.
Without it the API key is ` + localAPIKey + `, the shared key ` + localSharedKey + `, and the licenses are those of the samples.

` + faultsHelp(),
		Example: `  licensectl fake-api
  licensectl fake-api --addr 127.0.0.1:9000 --state state.json --fail 503`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			api, err := openFake(stateFile, faults)
			if err != nil {
				return err
			}
			return serveFake(cmd.Context(), addr, api, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&addr, "addr", defaultFakeAddress, "address to listen on; port 0 takes a free one")
	cmd.Flags().StringVar(&stateFile, "state", "", "file with the keys and licenses to begin with (default: those of the samples)")
	cmd.Flags().StringSliceVar(&faults, "fail", nil, "misbehave (see above)")
	return cmd
}

func openFake(stateFile string, faults []string) (*licenseapitest.Server, error) {
	state := licenseapitest.State{APIKeys: map[string]string{localAPIKey: localSharedKey}}
	if stateFile == "" {
		samples, err := local.Samples(events.FS())
		if err != nil {
			return nil, failed(err, "")
		}
		state.Licenses = licensesOf(samples)
	} else {
		var err error
		if state, err = readState(stateFile); err != nil {
			return nil, failed(err, `the file holds {"api_keys":{"key":"shared"},"licenses":[{"product":"XY","license_key":"…","devices":["hw1"]}]}`)
		}
	}
	api, err := licenseapitest.New(state)
	if err != nil {
		return nil, failed(err, "mend the file of --state")
	}
	return api, failOn(api, faults)
}

func readState(file string) (licenseapitest.State, error) {
	var state licenseapitest.State
	f, err := os.Open(file)
	if err != nil {
		return state, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	dec := json.NewDecoder(io.LimitReader(f, maxStateBytes))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&state); err != nil {
		return state, fmt.Errorf("%s: %w", file, err)
	}
	if dec.More() {
		return state, fmt.Errorf("%s: something follows the JSON object", file)
	}
	return state, nil
}

// serveFake serves until ctx ends, then says what was called.
func serveFake(ctx context.Context, addr string, api *licenseapitest.Server, stdout io.Writer) error {
	address, stop, err := serve(ctx, addr, api, func(context.Context) {})
	if err != nil {
		return failed(err, "is another one running? give another port with --addr, or port 0 for a free one")
	}
	fmt.Fprintf(stdout, "License API  %s%s (fake)\nUntil Ctrl-C.\n", address, licenseapitest.Base)
	<-ctx.Done()
	stop()
	fmt.Fprintf(stdout, "%d calls were answered.\n", api.Counts().Calls)
	return nil
}

// failOn makes the fake misbehave.
func failOn(api *licenseapitest.Server, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if err := api.Fail(names...); err != nil {
		var known []string
		for _, f := range licenseapitest.Faults() {
			known = append(known, f.Name)
		}
		return misused("known are "+strings.Join(known, ", "), "--fail: %w", err)
	}
	return nil
}

func faultsHelp() string {
	var help strings.Builder
	help.WriteString("Faults for --fail:\n")
	for _, f := range licenseapitest.Faults() {
		fmt.Fprintf(&help, "  %-13s %s\n", f.Name, f.Meaning)
	}
	return strings.TrimSuffix(help.String(), "\n")
}

// licensesOf are the licenses that the samples are about: those that they deactivate, on their devices, and those
// whose device has been inactive before. The products of unknown licenses are known.
func licensesOf(samples []local.Sample) []licenseapitest.License {
	var licenses []licenseapitest.License
	products := map[string]bool{}
	for _, sample := range samples {
		for _, r := range sample.Requests {
			products[r.Product] = true
			if r.Outcome == deactivation.Rejected {
				continue
			}
			i := slices.IndexFunc(licenses, func(l licenseapitest.License) bool {
				return l.Product == r.Product && l.LicenseKey == r.LicenseKey && l.Username == r.Username
			})
			if i < 0 {
				licenses = append(licenses, licenseapitest.License{
					Product: r.Product, LicenseKey: r.LicenseKey, Username: r.Username, Bundle: r.BundleCode,
				})
				i = len(licenses) - 1
			}
			if r.Outcome == deactivation.Deactivated {
				licenses[i].Devices = append(licenses[i].Devices, r.HardwareID)
			}
		}
	}
	for product := range products {
		licenses = append(licenses, licenseapitest.License{Product: product, LicenseKey: "of-nobody", Devices: []string{"of-nobody"}})
	}
	return licenses
}

// tokenURL returns where an OAuth client gets its tokens: from the fake, if that is the API at this address, else "",
// as its secret says.
func (o localOptions) tokenURL(api string) string {
	if o.licenseAPI != "" {
		return ""
	}
	return licenseapitest.TokenURL(api)
}

// startAPI returns the address that the worker calls: the user's own, or that of a fake started here.
func (o localOptions) startAPI(stored local.Secrets, samples []local.Sample) (address string, stop func(), err error) {
	if o.licenseAPI != "" {
		return o.licenseAPI, func() {}, nil
	}
	key, err := secrets.ParseLicense(string(stored.LicenseAPI))
	if err != nil {
		return "", nil, failed(err, "")
	}
	state := licenseapitest.State{Licenses: licensesOf(samples)}
	if key.OAuth() {
		state.Clients = map[string]string{key.ClientID: key.ClientSecret}
	} else {
		state.APIKeys = map[string]string{key.APIKey: key.SharedKey}
	}
	api, err := licenseapitest.New(state)
	if err != nil {
		return "", nil, failed(err, "")
	}
	if err := failOn(api, o.faults); err != nil {
		return "", nil, err
	}
	address, stop, err = api.Start()
	if err != nil {
		return "", nil, failed(fmt.Errorf("the fake License API did not start: %w", err), "")
	}
	return address, stop, nil
}
