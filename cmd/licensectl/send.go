package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/local"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
)

// defaultAddress is where `licensectl local` listens by default.
const defaultAddress = "127.0.0.1:8080"

// sendTimeout bounds one delivery. The webhook function has ten seconds.
const sendTimeout = 30 * time.Second

// maxAnswerBytes bounds what is printed of an answer.
const maxAnswerBytes = 64 << 10

type sendOptions struct {
	to          string
	source      string
	sample      string // --case
	secretsFile string
	printEvent  bool
}

func newSend(f *files) *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send [FILE]",
		Short: "Sign a sample as its sender does, and post it",
		Long: `send signs a delivery of events/ (or your own body) as its sender does, with the current time, and posts it to
/webhooks/<source> below an address. A sample is named by --source and --case, or by its file: then the source is the
name of the file's folder, and a .yaml file next to it holds the sender's other headers. Without --secrets it signs with the fixed secrets that licensectl local prints.

An event has the same effect as the store's own: at a deployed address a license may be deactivated.`,
		Example: `  licensectl send --source stripe --case full-refund
  licensectl send events/stripe/full-refund.json
  licensectl send events/shopify/full-refund.json --to https://abc123.execute-api.eu-central-1.amazonaws.com --secrets secrets.json
  licensectl send events/stripe/full-refund.json --print-event | sam local invoke WebhookFunction -e -
  licensectl send my-order.json --source standard`,
		Args: takes(cobra.MaximumNArgs(1), "one FILE", "send one delivery at a time"),
		ValidArgsFunction: func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return f.sampleNames(typed), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := o.file(args)
			if err != nil {
				return err
			}
			sources, err := f.load()
			if err != nil {
				return err
			}
			req, source, secret, err := o.request(sources, f, file)
			if err != nil {
				return err
			}
			if o.printEvent {
				return printEvent(cmd.OutOrStdout(), req)
			}
			return post(cmd.Context(), cmd.OutOrStdout(), req, source, secret)
		},
	}
	cmd.Flags().StringVar(&o.to, "to", "http://"+defaultAddress, "address to post to, up to /webhooks/")
	cmd.Flags().StringVar(&o.source, "source", "", "the sender (default: the name of the file's folder)")
	cmd.Flags().StringVar(&o.sample, "case", "", "name of one of the sender's samples, instead of FILE")
	cmd.Flags().StringVar(&o.secretsFile, "secrets", "", `file with {"license_api":{…},"webhooks":{…}} to sign with`)
	cmd.Flags().BoolVar(&o.printEvent, "print-event", false, "print it as an API Gateway event instead of posting it, with its signature or token")
	f.completeSources(cmd)
	f.completeCases(cmd, &o.source)
	return cmd
}

// file returns the file to send: FILE, or the sample that --source and --case name.
func (o sendOptions) file(args []string) (string, error) {
	switch {
	case o.sample == "" && len(args) == 1:
		return args[0], nil
	case o.sample == "":
		return "", misused("give a FILE, or a sample by --source and --case", "there is nothing to send")
	case len(args) == 1:
		return "", misused("leave one of them out", "FILE and --case name two deliveries")
	case o.source == "":
		return "", misused("name its sender with --source", "--case needs --source")
	}
	return "events/" + o.source + "/" + o.sample, nil
}

// request returns the signed request of a sample's file, its sender, and the secret that signed it.
func (o sendOptions) request(sources *source.Sources, f *files, file string) (req *http.Request, source *source.Source, secret string, err error) {
	to, err := url.Parse(o.to)
	switch { // without the address: it may hold a token
	case err != nil, to.Scheme != "http" && to.Scheme != "https", to.Host == "":
		return nil, nil, "", misused("give --to with http:// or https://, such as http://"+defaultAddress, "--to is not an address")
	case to.RawQuery != "" || to.ForceQuery || to.Fragment != "" || to.User != nil:
		return nil, nil, "", misused("give --to up to /webhooks/; send adds a token where the sender has one", "--to has a query, a fragment or a user")
	}
	if _, known := sources.Get(o.source); o.source != "" && !known {
		return nil, nil, "", noSource(sources, o.source)
	}
	sample, err := f.sample(file)
	if err != nil && o.sample != "" {
		return nil, nil, "", misused("its samples are "+strings.Join(f.cases(o.source), ", "), "%s has no sample %q", o.source, o.sample)
	}
	if err != nil {
		return nil, nil, "", failed(err, "FILE is a delivery's body, such as events/stripe/full-refund.json")
	}
	if o.source != "" {
		sample.Source = o.source
	}
	source, ok := sources.Get(sample.Source)
	if !ok {
		return nil, nil, "", failed(fmt.Errorf("%s does not name its sender: its folder is %q, and there is no such source", file, sample.Source), nameSourceHint(sources))
	}
	secret, err = signingSecret(sources, o.secretsFile, sample.Source)
	if err != nil {
		return nil, nil, "", err
	}
	req, err = sample.Signed(source, o.to, secret, time.Now())
	if err != nil {
		return nil, nil, "", failed(err, "the .yaml file next to FILE holds the sender's headers; is one missing?")
	}
	return req, source, secret, nil
}

// nameSourceHint lists the senders.
func nameSourceHint(sources *source.Sources) string {
	return "name the sender with --source: " + strings.Join(sources.Names(), ", ") + "; --sources DIR uses senders' files of your own"
}

func noSource(sources *source.Sources, name string) error {
	return misused(nameSourceHint(sources), "there is no source %q", name)
}

// signingSecret returns a source's first secret: from the file, or the fixed one.
func signingSecret(sources *source.Sources, file, source string) (string, error) {
	stored := local.FixedSecrets(sources)
	if file != "" {
		var err error
		if stored, err = readSecrets(file); err != nil {
			return "", err
		}
	}
	webhooks, err := secrets.ParseWebhooks(string(stored.Webhooks))
	if err != nil {
		return "", failed(err, "")
	}
	texts, err := webhooks.Keys(source)
	if err != nil {
		return "", failed(err, "")
	}
	if len(texts) == 0 {
		return "", failed(fmt.Errorf("there is no secret to sign with as %q", source),
			fmt.Sprintf(`give a file with --secrets that holds {"webhooks":{%q:"…"}}`, source))
	}
	return texts[0], nil
}

func printEvent(stdout io.Writer, req *http.Request) error {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return failed(err, "")
	}
	enc := json.NewEncoder(stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(lambdaemu.NewHTTPEvent(req, body)); err != nil {
		return failed(err, "")
	}
	return nil
}

// post sends the request and prints the answer. An answer without success is an error with a hint. It follows no
// redirect, since senders do not. It prints no part of the secret, which may be a token in the address.
func post(ctx context.Context, stdout io.Writer, req *http.Request, from *source.Source, secret string) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	hide := strings.NewReplacer(secret, "…", url.QueryEscape(secret), "…", html.EscapeString(secret), "…").Replace
	resp, err := http.DefaultTransport.RoundTrip(req.WithContext(ctx)) // the errors of an http.Client quote the address
	if errors.Is(err, context.Canceled) {
		return err // run reports the interruption
	}
	if err != nil {
		return failed(fmt.Errorf("POST %s://%s%s: %s", req.URL.Scheme, req.URL.Host, req.URL.Path, hide(err.Error())),
			"does a server listen there? licensectl local does, until Ctrl-C")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return failed(err, "")
	}
	fmt.Fprintf(stdout, "%s\n%s\n", hide(resp.Status), hide(strings.TrimSpace(string(body))))
	if resp.StatusCode >= http.StatusMultipleChoices {
		return failed(fmt.Errorf("delivery rejected: HTTP %d", resp.StatusCode), hintFor(from, resp.StatusCode))
	}
	return nil
}

// hintFor returns what to check when a delivery is refused.
func hintFor(from *source.Source, status int) string {
	if from.Certified() && (status == http.StatusUnauthorized || status == http.StatusServiceUnavailable) {
		return "only " + from.Name + " can sign for a deployed function; the key of the samples counts for licensectl local alone, with its own License API"
	}
	if status < http.StatusBadRequest {
		return "senders follow no redirect: give the final address with --to"
	}
	switch status {
	case http.StatusUnauthorized:
		return "the signature is not valid there: --secrets must hold the secret of the other side, and both clocks must agree"
	case http.StatusNotFound:
		return "the other side has no file or no secret for this source, or the address is wrong"
	case http.StatusBadRequest:
		return "it was verified, but the body is not an event of this source"
	case http.StatusServiceUnavailable:
		return "the other side cannot reach its queue or its secrets; a sender retries"
	}
	return ""
}
