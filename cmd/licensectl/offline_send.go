package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/secrets"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/signing"
)

const (
	// submitSource is the source of requests from this command.
	submitSource = "ops"

	// maxPayloadBytes bounds one invocation; Lambda accepts 6 MB.
	maxPayloadBytes = 5 << 20

	// directCallsPerSecond leaves most of the License API's limits to the stack and to live license checks: it is a
	// quarter of the 20 a second that one address has.
	directCallsPerSecond = 5

	defaultLicenseAPI = "https://api.licensespring.com/api/v4"
)

// payload is a direct invocation of the webhook function.
type payload struct {
	Source   string       `json:"source"`
	By       string       `json:"by,omitempty"`
	Comment  string       `json:"comment,omitempty"`
	Requests []payloadRow `json:"requests"`
}

type payloadRow struct {
	Action      string `json:"action"`
	RequestFile string `json:"request_file"`
}

// submit sends the files to the webhook function, as many at once as one invocation accepts. After an invocation that
// fails, its files and all later ones are not sent; earlier ones stay accepted.
func (f *webhookFunction) submit(ctx context.Context, files []requestFile, bundle bool, by, comment string) ([]submitted, error) {
	action := deactivation.ActionDeactivateOffline
	if bundle {
		action = deactivation.ActionDeactivateBundleOffline
	}
	var results []submitted
	for len(files) > 0 {
		n, size := 0, 0
		for n < len(files) && (n == 0 || size+len(files[n].Text) < maxPayloadBytes) {
			size += len(files[n].Text)
			n++
		}
		chunk, err := f.submitChunk(ctx, files[:n], payload{Source: submitSource, By: by, Comment: comment}, action)
		if err != nil && len(results) == 0 {
			return nil, failed(err, "it is unknown whether a file was enqueued; the same files may be submitted again")
		}
		if err != nil {
			return append(results, unsent(files, err)...), nil
		}
		results = append(results, chunk...)
		files = files[n:]
	}
	return results, nil
}

// unsent is the result of files that were not sent because of an error before them.
func unsent(files []requestFile, err error) []submitted {
	var results []submitted
	for _, file := range files {
		results = append(results, submitted{File: file.name, Outcome: outcomeNotSent, Message: deactivation.CleanText(err.Error())})
	}
	return results
}

func (f *webhookFunction) submitChunk(ctx context.Context, files []requestFile, p payload, action string) ([]submitted, error) {
	for _, file := range files {
		p.Requests = append(p.Requests, payloadRow{action, file.Text})
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	out, err := f.invoke(ctx, raw)
	if err != nil {
		return nil, err
	}
	rows, err := readRows(out, len(files))
	if err != nil {
		return nil, err
	}
	results := make([]submitted, len(files))
	for i, row := range rows {
		results[i] = submitted{File: files[i].name, Outcome: row.outcome(), ID: row.id, Code: row.code, Message: row.message}
	}
	return results, nil
}

// directAPI is the License API, called from this machine.
type directAPI struct {
	address     string
	secretsFile string
	multipart   bool
}

func (d *directAPI) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.secretsFile, "secrets", "", `with --direct: file with {"license_api":{…},"webhooks":{…}}`)
	cmd.Flags().StringVar(&d.address, "license-api", defaultLicenseAPI, "with --direct: address of the License API, with /api/v4")
	cmd.Flags().BoolVar(&d.multipart, "multipart", false, "with --direct: post the file as a form, not as text")
}

func (d *directAPI) check() error {
	if d.secretsFile == "" {
		return misused(`name a file that holds {"license_api":{"api_key":"…","shared_key":"…"},"webhooks":{}}`, "--direct needs --secrets FILE")
	}
	return checkLicenseAPI(d.address)
}

var errInterrupted = errors.New("interrupted")

// submit calls the License API once for each file, one after another. It stops after an answer that every other file
// would also get.
func (d *directAPI) submit(ctx context.Context, files []requestFile, bundle bool) ([]submitted, error) {
	client, err := d.client()
	if err != nil {
		return nil, err
	}
	call := client.DeactivateOffline
	if bundle {
		call = client.DeactivateBundleOffline
	}
	pace := rate.NewLimiter(directCallsPerSecond, 1)
	var results []submitted
	for i, file := range files {
		if err := pace.Wait(ctx); err != nil {
			return append(results, unsent(files[i:], errInterrupted)...), nil //nolint:nilerr // the files' own lines say it
		}
		err := call(ctx, licenseapi.RequestFile{Content: file.Text, Multipart: d.multipart})
		results = append(results, resultOf(file, err))
		if affectsAll(licenseapi.KindOf(err)) {
			return append(results, unsent(files[i+1:], fmt.Errorf("not sent after %s", licenseapi.CodeOf(err)))...), nil
		}
	}
	return results, nil
}

// resultOf returns the outcome of one file. The client's errors hold no part of the file.
func resultOf(file requestFile, err error) submitted {
	r := submitted{File: file.name, Code: deactivation.CleanText(licenseapi.CodeOf(err))}
	switch licenseapi.KindOf(err) {
	case licenseapi.KindDeactivated:
		r.Outcome = string(deactivation.Deactivated)
		return r
	case licenseapi.KindAlreadyInactive:
		r.Outcome = string(deactivation.AlreadyInactive)
	case licenseapi.KindRejected, licenseapi.KindFileRefused:
		r.Outcome = string(deactivation.Rejected)
	default:
		r.Outcome = outcomeFailed
	}
	r.Message = deactivation.CleanText(err.Error())
	if answer, ok := errors.AsType[*licenseapi.Error](err); ok {
		r.Message = deactivation.CleanText(answer.Message)
	}
	return r
}

// affectsAll reports whether every other file would get the same answer.
func affectsAll(kind licenseapi.Kind) bool {
	switch kind {
	case licenseapi.KindRateLimited, licenseapi.KindBadCredentials, licenseapi.KindStaleDate, licenseapi.KindMisconfigured:
		return true
	}
	return false
}

func (d *directAPI) client() (*licenseapi.Client, error) {
	keys, err := licenseKeys(d.secretsFile)
	if err != nil {
		return nil, err
	}
	return newLicenseClient(keys, d.address)
}

// newLicenseClient returns a client of the License API that makes one call at a time.
func newLicenseClient(keys secrets.License, address string) (*licenseapi.Client, error) {
	client, err := licenseapi.New(licenseapi.Config{BaseURL: address, CallsInFlight: 1})
	if err != nil {
		return nil, misused("give --license-api such as "+defaultLicenseAPI, "%v", err)
	}
	if keys.OAuth() {
		token, err := client.OAuth(keys.ClientID, keys.ClientSecret, keys.TokenURL)
		if err != nil {
			return nil, failed(err, "")
		}
		return client.With(token), nil
	}
	signer, err := signing.NewSigner(keys.APIKey, keys.SharedKey)
	if err != nil {
		return nil, failed(err, "")
	}
	return client.With(licenseapi.HMAC(signer)), nil
}
