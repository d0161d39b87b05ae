package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"license-deactivator/events"
	"license-deactivator/internal/local"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

const (
	defaultFakeAddress = "127.0.0.1:8090"
	exampleFault       = "storm" // in the examples of --help; a test checks that it exists
	maxStateBytes      = 64 << 20
)

func newFakeAPI() *cobra.Command {
	var addr, stateFile string
	var faults []string
	cmd := &cobra.Command{
		Use:   "fake-api",
		Short: "Run only the fakes of the License API and the Management API",
		Long: `fake-api answers POST /api/v4/deactivate_license and deactivate_bundle as LicenseSpring's License API does: it
checks the date, the signature and the license, and stores which devices are active. A bundle is deactivated on every
license with that "bundle" and key. deactivate_offline and deactivate_bundle_offline take request files and check their
signatures; floating/release also frees a device. Under /api/v1 it answers as the Management API does, over the same
licenses: lists of licenses and devices, disable, enable and device reset. It is for trials; it sends nothing to LicenseSpring.

--state names a file with
  {"api_keys":{"key":"shared"},"licenses":[{"product":"XY","license_key":"…","devices":["hw1"],"enabled":true}]}
and, for OAuth, "clients":{"id":"secret"}; their tokens come from POST ` + licenseapitest.TokenPath + `,
whose address GET /api/v4/oauth_url?login_type=client_credentials returns, as the vendor's SDKs request it.
"management_api_keys":["key"] are the keys of the Management API, which refuses every call without one. A license may have "id",
"order", "subscription", "customer_email" and "inactive_devices" for it.
Without --state the API key is ` + local.APIKey + `, the shared key ` + local.SharedKey + `, the Management API key
` + local.ManagementAPIKey + `, and the licenses are those of the samples.

` + faultsHelp(),
		Example: `  licensectl fake-api
  licensectl fake-api --addr 127.0.0.1:9000 --state state.json --fail 503`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkAddress("addr", addr); err != nil {
				return err
			}
			api, err := openFake(stateFile, faults)
			if err != nil {
				return err
			}
			return serveFake(cmd.Context(), addr, api, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&addr, "addr", defaultFakeAddress, "address to listen on; port 0 chooses a free one")
	cmd.Flags().StringVar(&stateFile, "state", "", "file with the keys and licenses to begin with (default: those of the samples)")
	cmd.Flags().StringSliceVar(&faults, "fail", nil, "misbehave (see above)")
	completeFaults(cmd)
	return cmd
}

// openFake returns the fake with the licenses of stateFile, or with those of the samples and the fixed keys.
func openFake(stateFile string, faults []string) (*licenseapitest.Server, error) {
	var api *licenseapitest.Server
	if stateFile == "" {
		samples, err := sample.ReadAll(events.FS())
		if err == nil {
			api, err = local.NewFakeAPI(secrets.License{APIKey: local.APIKey, SharedKey: local.SharedKey}, local.ManagementAPIKey, samples)
		}
		if err != nil {
			return nil, failed(err, "")
		}
		return api, failOn(api, faults)
	}
	state, err := readState(stateFile)
	if err != nil {
		return nil, failed(err, `the file holds {"api_keys":{"key":"shared"},"licenses":[{"product":"XY","license_key":"…","devices":["hw1"]}]}`)
	}
	if api, err = licenseapitest.New(state); err != nil {
		return nil, failed(err, "correct the --state file")
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
		return state, fmt.Errorf("%s: more than one JSON object", file)
	}
	return state, nil
}

// serveFake serves until ctx ends, then prints how many calls it answered.
func serveFake(ctx context.Context, addr string, api *licenseapitest.Server, stdout io.Writer) error {
	address, stop, err := local.Serve(ctx, addr, api, func(context.Context) {})
	if err != nil {
		return listenFailed("addr", err)
	}
	fmt.Fprintf(stdout, "License API  %s%s (fake)\nManagement   %s%s (fake)\nUntil Ctrl-C.\n",
		address, licenseapitest.Base, address, licenseapitest.ManagementBase)
	<-ctx.Done()
	stop()
	counts := api.Counts()
	fmt.Fprintf(stdout, "%d calls were answered.\n%d calls of the Management API were answered.\n", counts.Calls, counts.Management)
	return nil
}

// failOn makes the fake misbehave as the named faults describe.
func failOn(api *licenseapitest.Server, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if err := api.Fail(names...); err != nil {
		var known []string
		for _, f := range allFaults() {
			known = append(known, f.Name)
		}
		return misused("known are "+strings.Join(known, ", "), "--fail: %s", strings.TrimPrefix(err.Error(), "licenseapitest: "))
	}
	return nil
}

// completeFaults completes --fail by the names of the faults.
func completeFaults(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("fail", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, f := range allFaults() {
			names = append(names, f.Name+"\t"+f.Meaning)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

// allFaults returns the named faults of both APIs.
func allFaults() []licenseapitest.NamedFault {
	return append(licenseapitest.Faults(), licenseapitest.ManagementFaults()...)
}

func faultsHelp() string {
	var help strings.Builder
	help.WriteString("Faults for --fail:\n")
	for _, f := range licenseapitest.Faults() {
		fmt.Fprintf(&help, "  %-13s %s\n", f.Name, f.Meaning)
	}
	help.WriteString("Those of the Management API:\n")
	for _, f := range licenseapitest.ManagementFaults() {
		fmt.Fprintf(&help, "  %-26s %s\n", f.Name, f.Meaning)
	}
	return strings.TrimSuffix(help.String(), "\n")
}
