package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"license-deactivator/internal/local"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/managementapi"
)

const (
	defaultManagementAPI = "https://saas.licensespring.com/api/v1"

	// besideCallsPerMinute is the pace of a command that runs beside the stack: one call a second. The company's quota is
	// the stack's and that of the vendor's own integrations.
	besideCallsPerMinute = 60
)

// springFlags say with which keys and addresses a command on this machine calls LicenseSpring: those of a --secrets file,
// of a stack, or of a running licensectl local.
type springFlags struct {
	secretsFile         string
	licenseAPI          string // "": the worker's, or LicenseSpring's
	managementAPI       string // likewise
	managementPerMinute float64
	sources             func() (*source.Sources, error)
}

func (f *springFlags) addFlags(cmd *cobra.Command) {
	f.addManagementFlags(cmd)
	cmd.Flags().StringVar(&f.licenseAPI, "license-api", "", "address of the License API, with /api/v4 (default: the stack's, or "+defaultLicenseAPI+")")
}

// addManagementFlags adds the flags of a command that calls the Management API alone.
func (f *springFlags) addManagementFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.secretsFile, "secrets", "",
		`file with {"license_api":{"api_key":"…","shared_key":"…","management_api_key":"…"},"webhooks":{}}, in place of the stack's secret`)
	cmd.Flags().StringVar(&f.managementAPI, "management-api", "", "address of the Management API, with /api/v1 (default: the stack's, or "+defaultManagementAPI+")")
	cmd.Flags().Float64Var(&f.managementPerMinute, "management-calls-per-minute", besideCallsPerMinute,
		"calls to the Management API a minute; the company's quota is shared with the stack and with other integrations")
}

// check refuses flags that lead to no keys.
func (f *springFlags) check(to *target) error {
	switch {
	case !(f.managementPerMinute > 0): // also refuses NaN
		return misused("leave it out for one call a second", "--management-calls-per-minute must be above 0")
	case f.secretsFile == "" && to.stack == "" && !to.isLocal():
		return misused("name a deployed stack with --stack, or the file with the keys with --secrets", "there are no keys for LicenseSpring")
	}
	if err := checkLicenseAPI(f.licenseAPI); err != nil {
		return err
	}
	return checkManagementAPI(f.managementAPI)
}

// spring is LicenseSpring as a command reaches it. It is never printed.
type spring struct {
	reader        secrets.Reader // of the license secret
	text          string         // the license secret
	licenseAPI    string
	managementAPI string
	fromWorker    bool // the worker's variables were read
	lookUpIsOn    bool // as they say
	watches       bool // as they say
	management    *managementapi.Client
}

// open reads the keys and addresses. at is nil without a target.
func (f *springFlags) open(ctx context.Context, at *place) (*spring, error) {
	s := &spring{licenseAPI: f.licenseAPI, managementAPI: f.managementAPI}
	if err := f.readSecret(ctx, s, at); err != nil {
		return nil, err
	}
	if err := s.readWorker(ctx, at); err != nil {
		return nil, err
	}
	if err := f.openManagement(s, at); err != nil {
		return nil, err
	}
	return s, nil
}

// addresses completes the addresses that neither a flag nor the worker says.
func (s *spring) addresses() {
	s.licenseAPI = cmp.Or(s.licenseAPI, defaultLicenseAPI)
	s.managementAPI = cmp.Or(s.managementAPI, defaultManagementAPI)
}

// openManagement makes the client of the Management API.
func (f *springFlags) openManagement(s *spring, at *place) error {
	s.addresses()
	key, err := secrets.ParseManagement(s.text)
	if err != nil {
		return failed(fmt.Errorf("%s: %w", f.secretName(at), err), "")
	}
	pace := rate.NewLimiter(rate.Limit(f.managementPerMinute/60), 1)
	s.management, err = managementapi.New(managementapi.Config{
		BaseURL: s.managementAPI, Key: key.Key, CallsInFlight: 1,
		Through: func(ctx context.Context, request func(context.Context) error) error {
			if err := pace.Wait(ctx); err != nil {
				return err
			}
			return request(ctx)
		},
	})
	if err != nil {
		return misused("give --management-api such as "+defaultManagementAPI, "%v", err)
	}
	return nil
}

// secretName names where the keys come from, for a person.
func (f *springFlags) secretName(at *place) string {
	switch {
	case f.secretsFile != "":
		return filepath.Base(f.secretsFile)
	case at.stack != "":
		return "the secret of the stack " + at.stack
	}
	return "the fixed secrets of licensectl local"
}

// readSecret finds the license secret: in the file, in the stack's Secrets Manager, or the fixed one of licensectl local.
func (f *springFlags) readSecret(ctx context.Context, s *spring, at *place) error {
	switch {
	case f.secretsFile != "":
		stored, err := readSecrets(f.secretsFile)
		if err != nil {
			return err
		}
		s.reader, _ = stored.Readers(f.secretsFile)
	case at.isLocal():
		sources, err := f.sources()
		if err != nil {
			return err
		}
		s.reader, _ = local.FixedSecrets(sources).Readers("")
	default:
		s.reader = secrets.OpenSecretsManager(at.config, at.endpoint, at.of(licenseAPISecretARN))
	}
	value, err := s.reader.Read(ctx)
	if err != nil {
		return awsFailed(err, "secretsmanager:GetSecretValue", f.secretName(at)+" cannot be read")
	}
	s.text = value.Text
	return nil
}

// readWorker takes the addresses that are not given from the worker function's variables.
func (s *spring) readWorker(ctx context.Context, at *place) error {
	known := s.licenseAPI != "" && s.managementAPI != ""
	if known || at == nil || at.stack == "" && !at.isLocal() {
		return nil
	}
	variables, err := at.variables(ctx, at.of(workerFunctionName))
	switch {
	case err != nil && at.isLocal():
		return failed(fmt.Errorf("%s does not say where its APIs are: %w", at.target, err), "is it running? or give --secrets, --license-api and --management-api")
	case err != nil:
		return awsFailed(err, "lambda:GetFunctionConfiguration", "the settings of the worker function cannot be read, which say where LicenseSpring's APIs are")
	}
	s.licenseAPI = cmp.Or(s.licenseAPI, variables["LICENSE_API_URL"])
	s.managementAPI = cmp.Or(s.managementAPI, variables["MANAGEMENT_API_URL"])
	s.fromWorker, s.lookUpIsOn, s.watches = true, variables["LOOK_UP"] == "on", variables["MODE"] == modeWatch
	return nil
}

// variables returns a function's environment.
func (p *place) variables(ctx context.Context, function string) (map[string]string, error) {
	client := lambda.NewFromConfig(p.config, func(o *lambda.Options) { o.BaseEndpoint = p.endpointFor(o.BaseEndpoint) })
	out, err := client.GetFunctionConfiguration(ctx, &lambda.GetFunctionConfigurationInput{FunctionName: &function})
	if err != nil {
		return nil, err
	}
	if out.Environment == nil {
		return nil, errors.New("the function has no variables")
	}
	return out.Environment.Variables, nil
}
