package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/events"
	"license-deactivator/internal/local"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/webhook"
)

// defaultAddress is where `licensectl local` listens unless it is told otherwise.
const defaultAddress = "127.0.0.1:8080"

// sendTimeout bounds one delivery; the webhook function itself has ten seconds.
const sendTimeout = 30 * time.Second

// maxAnswerBytes bounds what is printed of an answer.
const maxAnswerBytes = 64 << 10

type sendOptions struct {
	to          string
	source      string
	secretsFile string
	printEvent  bool
}

func newSend(load func() (*webhook.Sources, error)) *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send FILE",
		Short: "Sign a sample as its sender would, and post it",
		Long: `send signs a delivery of events/ (or a body of your own) as its sender would, at this moment, and posts it to
/webhooks/<source> below an address. The source is the name of the file's folder. A .yaml file beside it holds the
sender's other headers. Without --secrets it signs with the fixed secrets that licensectl local prints.

Sending an event does what the store's own event would do: at a deployed address a license may be deactivated.`,
		Example: `  licensectl send events/stripe/full-refund.json
  licensectl send events/shopify/full-refund.json --to https://abc123.execute-api.eu-central-1.amazonaws.com --secrets secrets.json
  licensectl send events/stripe/full-refund.json --print-event | sam local invoke WebhookFunction -e -
  licensectl send my-order.json --source standard`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sources, err := load()
			if err != nil {
				return err
			}
			req, err := o.request(sources, args[0])
			if err != nil {
				return err
			}
			if o.printEvent {
				return printEvent(cmd.OutOrStdout(), req)
			}
			return post(cmd.Context(), cmd.OutOrStdout(), req)
		},
	}
	cmd.Flags().StringVar(&o.to, "to", "http://"+defaultAddress, "address to post to, up to /webhooks/")
	cmd.Flags().StringVar(&o.source, "source", "", "the sender (default: the name of the file's folder)")
	cmd.Flags().StringVar(&o.secretsFile, "secrets", "", `file with {"license_api":{…},"webhooks":{…}} to sign with`)
	cmd.Flags().BoolVar(&o.printEvent, "print-event", false, "print it as an API Gateway event instead of posting it")
	return cmd
}

// request makes the signed request of a sample's file.
func (o sendOptions) request(sources *webhook.Sources, file string) (*http.Request, error) {
	if !strings.HasPrefix(o.to, "http://") && !strings.HasPrefix(o.to, "https://") {
		return nil, misused("give --to with http:// or https://", "%q is no address", o.to)
	}
	sample, err := readSample(file)
	if err != nil {
		return nil, failed(err, "FILE is a delivery's body, such as events/stripe/full-refund.json")
	}
	if o.source != "" {
		sample.Source = o.source
	}
	source, ok := sources.Get(sample.Source)
	if !ok {
		return nil, failed(fmt.Errorf("there is no source %q", sample.Source),
			"name one with --source: "+strings.Join(sources.Names(), ", "))
	}
	secret, err := signingSecret(o.secretsFile, sample.Source)
	if err != nil {
		return nil, err
	}
	req, err := sample.Signed(source, o.to, secret, time.Now())
	if err != nil {
		return nil, failed(err, "the .yaml file beside FILE holds the sender's headers; is one missing?")
	}
	return req, nil
}

// readSample reads a file from the disk, or the built-in sample of that path.
func readSample(file string) (local.Sample, error) {
	if _, err := os.Stat(file); err != nil {
		if built, ok := strings.CutPrefix(path.Clean(filepath.ToSlash(file)), "events/"); ok {
			if sample, err := local.ReadSample(events.FS(), built); err == nil {
				return sample, nil
			}
		}
	}
	absolute, err := filepath.Abs(file)
	if err != nil {
		return local.Sample{}, err
	}
	folder := filepath.Dir(absolute)
	return local.ReadSample(os.DirFS(filepath.Dir(folder)), path.Join(filepath.Base(folder), filepath.Base(absolute)))
}

// signingSecret is the first secret of a source: of the file, or the fixed one.
func signingSecret(file, source string) (string, error) {
	stored := fixedSecrets()
	if file != "" {
		var err error
		if stored, err = local.ReadSecrets(file); err != nil {
			return "", failed(err, "")
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
	if err := enc.Encode(local.Event(req, body)); err != nil {
		return failed(err, "")
	}
	return nil
}

// post sends the request and says what was answered, and what an answer that is no success means.
func post(ctx context.Context, stdout io.Writer, req *http.Request) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	resp, err := http.DefaultClient.Do(req.WithContext(ctx))
	if err != nil {
		return failed(err, "is something listening there? licensectl local does, until Ctrl-C")
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return failed(err, "")
	}
	fmt.Fprintf(stdout, "%s\n%s\n", resp.Status, strings.TrimSpace(string(body)))
	if resp.StatusCode >= http.StatusMultipleChoices {
		return failed(errors.New("the delivery was not taken"), hintFor(resp.StatusCode))
	}
	return nil
}

// hintFor says what to look at when a delivery is refused.
func hintFor(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "the signature was not believed: --secrets must hold the secret that the other side has, and both clocks must agree"
	case http.StatusNotFound:
		return "the other side has no file or no secret for this source, or the address is not its own"
	case http.StatusBadRequest:
		return "it was verified, but the body is no event of this source"
	case http.StatusServiceUnavailable:
		return "the other side cannot reach its queue or its secrets; a sender would come again"
	}
	return ""
}
