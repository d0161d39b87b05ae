package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/local"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/signing"
)

const (
	// maxSubjectBytes bounds an event to explain: the queue's limit for one message, and much more than a delivery.
	maxSubjectBytes = 1 << 20

	// maxMessagesBytes bounds a file of messages: some dozens of the largest.
	maxMessagesBytes = 64 << 20
)

// exampleAddress is the address that a sender is assumed to call when --url is not given.
const exampleAddress = "https://hooks.example.com"

// subject is one thing to explain.
type subject struct {
	name     string // of the file
	about    string // what happened at the store, for a sample
	source   *source.Source
	delivery signing.Delivery
	at       time.Time
	secrets  *secrets.Webhooks   // nil: the signature is not checked
	parked   *deactivation.Event // a dead-lettered event, instead of delivery, at and secrets

	policy webhook.Policy // zero: no limit of age, and no look-up

	// request is a message's request, instead of everything else; letter holds the message's attributes.
	request *deactivation.Request
	letter  deactivation.DeadLetter

	// signature is printed with a signature that is valid or was not checked.
	signature string
}

func (s subject) explain() (webhook.Explanation, error) {
	if s.parked != nil {
		return webhook.ExplainParked(s.source, *s.parked, s.policy)
	}
	return webhook.Explain(s.source, s.delivery, s.at, s.verifying(), s.policy), nil
}

// verifying returns the secrets with the public key in place of a private one, with which a sample is signed.
func (s subject) verifying() *secrets.Webhooks {
	if s.secrets == nil {
		return nil
	}
	replaced := s.secrets.Replace(func(name, text string) string {
		if name != s.source.Name {
			return text
		}
		return s.source.VerifyingSecret(text)
	})
	return &replaced
}

// lookUpHelps reports whether an event that is explained without look-up would be accepted with it.
func (s subject) lookUpHelps(i int, e source.ExplainedEvent) bool {
	if s.policy.LookUp || len(e.Missing) == 0 || e.Answer != deactivation.Unmappable {
		return false
	}
	s.policy.LookUp = true
	on, err := s.explain()
	return err == nil && i < len(on.Events) && on.Events[i].Answer == deactivation.Accepted
}

// body returns the event's body.
func (s subject) body() []byte {
	if s.parked != nil {
		return s.parked.Body
	}
	return s.delivery.Body
}

// print explains the subject.
func (s subject) print(w io.Writer) error {
	if s.request != nil {
		printRequest(w, s)
		return nil
	}
	explanation, err := s.explain()
	if err == nil {
		printExplanation(w, s, explanation)
	}
	return err
}

// subjectReader reads the subjects, with the values of the flags.
type subjectReader struct {
	files   *files
	sources *source.Sources
	stdin   io.Reader
	source  string
	headers map[string]string // lower case
	secrets *secrets.Webhooks
	url     string
	at      time.Time

	policy webhook.Policy // zero: no limit of age, and no look-up
}

const subjectHint = "FILE is a sample such as stripe/full-refund, a sender's body with --source, a dead-lettered event, or messages of the dead-letter queue"

const stdinName = "standard input"

// read reads a file: a sample, messages of the dead-letter queue, a dead-lettered event, or a sender's body. Only a
// file of messages gives several subjects, and some of them together with errors.
func (r subjectReader) read(arg string) ([]subject, []error) {
	content, err := r.content(arg)
	if err != nil {
		return nil, []error{r.noSubject(arg, err)}
	}
	if content.Answer == "" {
		name := arg
		if arg == "-" {
			name = stdinName
		}
		if messages := readMessages(content.Body); len(messages) > 0 {
			return r.messages(name, messages)
		}
		if len(content.Body) > maxSubjectBytes {
			return nil, []error{failed(fmt.Errorf("%s is larger than %d bytes, so it is not an event", name, maxSubjectBytes), subjectHint)}
		}
		if r.source == "" && len(bytes.TrimSpace(content.Body)) == 0 { // with --source it is a delivery without a body
			return nil, []error{failed(fmt.Errorf("%s is empty", name), subjectHint)}
		}
	}
	s, err := r.one(arg, content)
	if err != nil {
		return nil, []error{err}
	}
	return []subject{s}, nil
}

// one reads a sample, a dead-lettered event or a sender's body, in this order.
func (r subjectReader) one(arg string, content sample.Sample) (subject, error) {
	s := subject{name: arg, about: content.About, at: r.at, secrets: r.secrets, policy: r.policy}
	if content.Answer != "" {
		return r.sample(s, content)
	}
	request, event, err := deactivation.Parse(string(content.Body))
	switch {
	case err == nil && event == nil:
		return subject{}, failed(fmt.Errorf("%s is not an event but the request %s, which is already mapped", arg, request.ID),
			"explain shows how an event becomes requests; why a request failed is in its message's attributes: give the whole message")
	case err == nil:
		return r.deadLetter(s, *event)
	}
	return r.body(s, content)
}

// noSubject returns the error for a name that is neither a file nor a sample. Its hint lists the samples of the sender
// with which the name begins.
func (r subjectReader) noSubject(arg string, err error) error {
	source, name, _ := strings.Cut(strings.TrimPrefix(filepath.ToSlash(arg), "events/"), "/")
	if !errors.Is(err, fs.ErrNotExist) {
		return failed(err, subjectHint)
	}
	cases := r.files.cases(source)
	if len(cases) == 0 {
		hint := subjectHint
		if known := r.nearly(source); known != "" && name != "" {
			hint = "did you mean " + known + "/" + name + "? " + hint
		}
		return failed(fmt.Errorf("%s is neither a file nor a sample", arg), hint)
	}
	hint := "the samples of " + source + " are " + strings.Join(cases, ", ")
	for _, known := range cases {
		if edits(name, known) <= maxEdits {
			hint = "did you mean " + source + "/" + known + "? " + hint
			break
		}
	}
	return failed(fmt.Errorf("%s is neither a file nor a sample", arg), hint)
}

// nearly returns the sender whose name the typed one misspells, "" for none.
func (r subjectReader) nearly(typed string) string {
	for _, known := range r.sources.Names() {
		if len(typed) > 2*maxEdits && edits(typed, known) <= maxEdits {
			return known
		}
	}
	return ""
}

// content reads a file, a built-in sample or standard input. Only samples have an Answer.
func (r subjectReader) content(arg string) (sample.Sample, error) {
	if arg == "-" {
		body, err := bounded(r.stdin, stdinName)
		return sample.Sample{Body: body}, err
	}
	if file, err := os.Stat(arg); err == nil {
		if file.IsDir() {
			return sample.Sample{}, fmt.Errorf("%s is a folder", arg)
		}
		if file.Size() > maxMessagesBytes {
			return sample.Sample{}, fmt.Errorf("%s is larger than %d bytes", arg, maxMessagesBytes)
		}
	}
	sample, err := r.files.sample(arg)
	if folder := filepath.Base(filepath.Dir(arg)); err == nil && sample.Answer == "" {
		sample.Source = folder
	}
	return sample, err
}

func bounded(from io.Reader, name string) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(from, maxMessagesBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(content) > maxMessagesBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxMessagesBytes)
	}
	return content, nil
}

// sourceOf returns the sender that --source names, else the one of the given name.
func (r subjectReader) sourceOf(name string) (*source.Source, error) {
	if r.source != "" {
		name = r.source
	}
	source, ok := r.sources.Get(name)
	if ok {
		return source, nil
	}
	return nil, failed(errors.New("the sender of the event is not known"), nameSourceHint(r.sources)) // the one of --source is
}

// sample signs a sample as its sender does: a sample has no signature.
func (r subjectReader) sample(s subject, sample sample.Sample) (subject, error) {
	source, err := r.sourceOf(sample.Source)
	if err != nil {
		return s, err
	}
	s.source = source
	s.delivery = delivery(sample.Body, sample.Headers)
	for name, text := range r.headers {
		s.delivery.Header[name] = text
	}
	with := "a fixed secret"
	if s.secrets != nil {
		with = "the secret of --secrets"
	} else {
		fixed, err := secrets.ParseWebhooks(string(local.FixedSecrets(r.sources).Webhooks))
		if err != nil {
			return s, failed(err, "")
		}
		s.secrets = &fixed
	}
	s.policy.Certificates = local.SampleCertificates(r.policy.Certificates, true)
	s.signature = "Signed just now as " + source.Name + " does, with " + with + ": a sample has no signature."
	secret := firstSecret(*s.secrets)(source.Name)
	if secret == "" && r.secrets == nil { // a sender of the user's own
		s.secrets, s.signature = nil, "A sample has no signature."
	}
	if s.secrets == nil || secret == "" {
		return s, nil
	}
	sample.Source, sample.Headers = source.Name, s.delivery.Header
	req, err := sample.Signed(source, exampleAddress, secret, r.at)
	if err != nil {
		return s, failed(err, "is a header missing in the .yaml file next to it, or is the secret not in this sender's form?")
	}
	body, err := io.ReadAll(req.Body) // it may hold the signature
	if err != nil {
		return s, failed(err, "")
	}
	s.delivery = delivery(body, nil)
	s.delivery.URL = req.URL.String()
	for name := range req.Header {
		s.delivery.Header[strings.ToLower(name)] = req.Header.Get(name)
	}
	return s, nil
}

// deadLetter reads an event that was verified when it arrived.
func (r subjectReader) deadLetter(s subject, event deactivation.Event) (subject, error) {
	source, err := r.sourceOf(event.Source)
	if source != nil && source.Name != event.Source {
		event.Scheme = "" // --source names another file, which has its own schemes
	}
	s.source, s.parked = source, &event
	s.about = "A dead-lettered event"
	if len(event.Missing) > 0 {
		s.about += ", stored because it lacked " + strings.Join(event.Missing, ", ")
	}
	s.about += "."
	s.signature = "It was verified when it arrived; the signature is not stored."
	if !event.ReceivedAt.IsZero() {
		s.signature = "It was verified when it arrived, " + event.ReceivedAt.UTC().Format(time.DateTime) + " UTC; the signature is not stored."
	}
	return s, err
}

// body reads a body as a sender posts it.
func (r subjectReader) body(s subject, sample sample.Sample) (subject, error) {
	source, err := r.sourceOf(sample.Source)
	if err != nil {
		return s, err
	}
	s.source, s.delivery = source, delivery(sample.Body, r.headers)
	s.delivery.URL = exampleAddress + "/webhooks/" + source.Name
	if r.url != "" {
		s.delivery.URL = r.url
	}
	if s.secrets == nil {
		s.signature = "Without --secrets it is assumed to be valid. In production this is checked:"
	}
	return s, nil
}

func delivery(body []byte, headers map[string]string) signing.Delivery {
	d := signing.Delivery{Method: http.MethodPost, Header: map[string]string{}, Body: body}
	for name, text := range headers {
		d.Header[strings.ToLower(name)] = text
	}
	return d
}
