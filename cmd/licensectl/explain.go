package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/certificate"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/webhook"
)

type explainOptions struct {
	source      string
	headers     []string
	secretsFile string
	url         string
	at          string
	maxEventAge time.Duration
	lookUp      bool
}

func newExplain(f *files) *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain FILE…",
		Short: "Show step by step what happens to an event, and why",
		Long: `explain takes an event and shows what the deployed system would do with it: whether it accepts the signature, which
rule of the sender's file matches and on which values, where each license field comes from, which requests it makes and
the answer to the sender. It runs the production code, sends nothing and deactivates nothing.

FILE is one of
  a sample of events/          events/stripe/full-refund.json, or by its name: stripe/full-refund
  a body as a sender posts it  with --source, and --header for each header that the sender's file reads
  a dead-lettered event        the message's body as it is in the dead-letter queue
  messages                     as "aws sqs receive-message" prints them, one or many, a list, or one for each line; for a
                               message that holds a request it says why it is a dead letter
  -                            any of these but a sample, from standard input

A body's signature is checked only with --secrets. License keys, user names and hardware ids are shortened.`,
		Example: `  licensectl explain stripe/full-refund
  licensectl explain body.json --source shopify --header 'X-Shopify-Topic: orders/updated'
  licensectl explain body.json --source stripe --secrets secrets.json --header 'Stripe-Signature: t=…,v1=…' --at 2026-11-22T12:00:00Z
  licensectl explain dead-letter.json
  aws sqs receive-message --queue-url … --message-attribute-names All | licensectl explain -
  pbpaste | licensectl explain -`,
		Args: takes(cobra.MinimumNArgs(1), "a FILE", "give a sample such as stripe/full-refund, a sender's body with --source, or a dead letter's message"),
		ValidArgsFunction: func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return f.sampleNames(typed), cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd, f, args)
		},
	}
	cmd.Flags().StringVar(&o.source, "source", "", "the sender (default: the name of the file's folder, or the dead letter's source)")
	cmd.Flags().StringArrayVar(&o.headers, "header", nil, "a header of the delivery, 'Name: value'; may be repeated")
	cmd.Flags().StringVar(&o.secretsFile, "secrets", "", `file with {"license_api":{…},"webhooks":{…}}: the signature is checked`)
	cmd.Flags().StringVar(&o.url, "url", "", "address that the sender called, with its query; some senders sign it or add a token")
	cmd.Flags().StringVar(&o.at, "at", "", "time of arrival, such as 2026-11-22T12:00:00Z: old signatures are refused (default: now)")
	cmd.Flags().DurationVar(&o.maxEventAge, "max-event-age", 0, "an event that is older at its arrival is stale, as MAX_EVENT_AGE in production; for example 336h (default: no limit, since files are old)")
	cmd.Flags().BoolVar(&o.lookUp, "look-up", false, "an event that does not name its license or device is sent on for look-up, as with LOOK_UP=on in production")
	f.completeSources(cmd)
	return cmd
}

// run explains each file. A file that cannot be read does not stop the others.
func (o explainOptions) run(cmd *cobra.Command, f *files, args []string) error {
	at, headers, err := o.check()
	if err != nil {
		return err
	}
	sources, err := f.load()
	if err != nil {
		return err
	}
	if _, known := sources.Get(o.source); o.source != "" && !known {
		return noSource(sources, o.source)
	}
	reader := subjectReader{files: f, sources: sources, stdin: cmd.InOrStdin(), source: o.source, headers: headers, url: o.url, at: at,
		policy: webhook.Policy{MaxEventAge: o.maxEventAge, LookUp: o.lookUp, Certificates: certificate.New(certificate.Config{})},
	}
	if o.secretsFile != "" {
		if reader.secrets, err = webhookSecrets(o.secretsFile); err != nil {
			return err
		}
	}
	var errs []error
	printed := 0
	for _, arg := range args {
		subjects, unread := reader.read(arg)
		errs = append(errs, unread...)
		for _, s := range subjects {
			var text bytes.Buffer
			if err := s.print(sized{&text, outputWidth(cmd.OutOrStdout())}); err != nil {
				errs = append(errs, err)
				continue
			}
			if printed++; printed > 1 {
				fmt.Fprintln(cmd.OutOrStdout(), "\n"+strings.Repeat("─", pageWidth(cmd.OutOrStdout()))+"\n")
			}
			_, _ = text.WriteTo(cmd.OutOrStdout()) // checkedWriter keeps a write error
		}
	}
	if len(errs) == 0 {
		return nil
	}
	lines := make([]error, len(errs))
	for i, err := range errs {
		lines[i] = errors.New(visible(err.Error()))
	}
	return failed(errors.Join(lines...), hintOf(errs))
}

// hintOf returns the hint of the first error that has one.
func hintOf(errs []error) string {
	for _, err := range errs {
		if failed, ok := errors.AsType[*failure](err); ok && failed.hint != "" {
			return failed.hint
		}
	}
	return ""
}

// check reads the flags. A header that is given several times is joined by commas, as in API Gateway.
func (o explainOptions) check() (at time.Time, headers map[string]string, err error) {
	at = time.Now()
	if o.at != "" {
		if at, err = time.Parse(time.RFC3339, o.at); err != nil {
			return at, nil, misused("give it as 2026-11-22T12:00:00Z", "--at %q is not a time", o.at)
		}
	}
	if o.url != "" && !strings.HasPrefix(o.url, "http://") && !strings.HasPrefix(o.url, "https://") {
		return at, nil, misused("give it with http:// or https://, as the sender called it", "--url is not an address")
	}
	if o.maxEventAge < 0 {
		return at, nil, misused("give a duration such as 336h", "--max-event-age %v is below 0", o.maxEventAge)
	}
	headers = map[string]string{}
	for _, header := range o.headers {
		name, text, ok := strings.Cut(header, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		if !ok || name == "" || strings.ContainsAny(name, " \t\"{}") {
			return at, nil, misused("give it as 'Name: value', in quotes", "a --header has no name and value") // it may be a secret
		}
		text = strings.TrimSpace(text)
		if before, twice := headers[name]; twice {
			text = before + "," + text
		}
		headers[name] = text
	}
	return at, headers, nil
}

// webhookSecrets reads the senders' secrets of a --secrets file.
func webhookSecrets(file string) (*secrets.Webhooks, error) {
	stored, err := readSecrets(file)
	if err != nil {
		return nil, err
	}
	webhooks, err := parseWebhooks(stored)
	return &webhooks, err
}
