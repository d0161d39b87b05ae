// Package sample reads the samples of events/, signs them as their senders do, sends them to a running system and
// compares each result with the expected one in the sample's file.
//
// A sample is two files of events/<source>/: <case>.json (.xml, .form) is a delivery's body byte for byte, <case>.yaml its
// headers and the expected result. The samples are the tests of the senders' files, the deliveries of `licensectl
// local` and `licensectl send`, and documentation.
package sample

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/signing"
	"license-deactivator/pkg/signing/signingtest"
)

// Sample is a delivery as its sender posts it, with the expected result.
type Sample struct {
	Source string `yaml:"-"`
	Case   string `yaml:"-"` // the files' name without the extension
	Body   []byte `yaml:"-"` // byte for byte

	About   string            `yaml:"about"`   // what happened at the store, for a person
	Headers map[string]string `yaml:"headers"` // without the signature, which Signed adds
	// Query is appended to the address, for senders that cannot set headers.
	Query    string              `yaml:"query"`
	Answer   deactivation.Answer `yaml:"answer"`
	Rule     string              `yaml:"rule"`
	Code     string              `yaml:"code"` // of an unmappable event that does not lack license data
	Requests []Request           `yaml:"requests"`
	Missing  []string            `yaml:"missing"`
	Problem  string              `yaml:"problem"`

	LookUp *LookUp `yaml:"look_up"` // nil: the same with the look-up on
}

// LookUp is the expected result of a sample with the look-up on, in place of the sample's own.
type LookUp struct {
	Answer   deactivation.Answer `yaml:"answer"` // "": accepted
	Rule     string              `yaml:"rule"`   // "": the sample's
	Code     string              `yaml:"code"`
	Requests []Request           `yaml:"requests"`
	Missing  []string            `yaml:"missing"`
	Problem  string              `yaml:"problem"`
}

// Expected returns the sample with what is expected of it with the look-up on or off.
func (s Sample) Expected(lookUp bool) Sample {
	if !lookUp || s.LookUp == nil {
		return s
	}
	on := *s.LookUp
	s.Answer, s.Rule = cmp.Or(on.Answer, deactivation.Accepted), cmp.Or(on.Rule, s.Rule)
	s.Code, s.Requests, s.Missing, s.Problem = on.Code, on.Requests, on.Missing, on.Problem
	return s
}

// Request is an expected request of a sample, with its expected outcome and the License API's error code.
type Request struct {
	ID         string               `yaml:"id"`
	Cause      string               `yaml:"cause"`
	Product    string               `yaml:"product"`
	LicenseKey string               `yaml:"license_key"`
	Username   string               `yaml:"username"`
	LicenseID  string               `yaml:"license_id"`
	BundleCode string               `yaml:"bundle_code"`
	HardwareID string               `yaml:"hardware_id"`
	Outcome    deactivation.Outcome `yaml:"outcome"`
	Code       string               `yaml:"code"`

	// The rest is of a request that is looked up.
	Order        []Candidate `yaml:"order"`
	Subscription Candidate   `yaml:"subscription"`
	Email        string      `yaml:"email"`
	None         string      `yaml:"none"`
	Scope        string      `yaml:"scope"`
	Products     []Product   `yaml:"products"`
	Disable      bool        `yaml:"disable"`
	Buyer        bool        `yaml:"buyer"`

	// Finds is the license that LicenseSpring holds for the order, where the request names none or an unknown one.
	Finds Found `yaml:"finds"`
}

// Product is a refunded product and its count.
type Product struct {
	Product string `yaml:"product"`
	Count   int    `yaml:"count"`
}

// Found is a license that a look-up finds.
type Found struct {
	Product    string `yaml:"product"`
	LicenseKey string `yaml:"license_key"`
	HardwareID string `yaml:"hardware_id"`
}

// Candidate is an id: a text, or {weak: text} or {buyer: text}.
type Candidate deactivation.Candidate

// UnmarshalYAML implements yaml.Unmarshaler.
func (c *Candidate) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		c.ID = node.Value
		return nil
	}
	var marked struct{ Weak, Buyer string }
	if err := node.Decode(&marked); err != nil {
		return err
	}
	c.ID, c.Weak, c.Buyer = marked.Weak+marked.Buyer, marked.Weak != "", marked.Buyer != ""
	if c.ID == "" || c.Weak && c.Buyer {
		return fmt.Errorf("line %d: a candidate is an id, or weak or buyer with one", node.Line)
	}
	return nil
}

// Lookup is what the request is looked up by.
func (r Request) Lookup() deactivation.Lookup {
	l := deactivation.Lookup{Subscription: deactivation.Candidate(r.Subscription), Email: r.Email, None: r.None}
	for _, c := range r.Order {
		l.Order = append(l.Order, deactivation.Candidate(c))
	}
	return l
}

// Name is the sample's name for people: "stripe/full-refund".
func (s Sample) Name() string { return s.Source + "/" + s.Case }

// ReadAll reads every sample below fsys, in alphabetical order. A body without a description, a description without a
// body, an unknown key and an empty folder are errors; each names its file.
func ReadAll(fsys fs.FS) ([]Sample, error) {
	folders, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	var samples []Sample
	var errs []error
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		of, err := readFolder(fsys, folder.Name())
		samples = append(samples, of...)
		errs = append(errs, err)
	}
	return samples, errors.Join(errs...)
}

func readFolder(fsys fs.FS, source string) ([]Sample, error) {
	files, err := fs.ReadDir(fsys, source)
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	var samples []Sample
	var errs []error
	described := map[string]bool{}
	for _, file := range files {
		if name, ok := strings.CutSuffix(file.Name(), ".yaml"); ok {
			described[name] = true
			sample, err := readCase(fsys, source, name)
			errs = append(errs, err)
			samples = append(samples, sample)
		}
	}
	for _, file := range files {
		if name := strings.TrimSuffix(file.Name(), path.Ext(file.Name())); !described[name] {
			errs = append(errs, fmt.Errorf("samples: %s/%s has no %s.yaml next to it with the expected result", source, file.Name(), name))
		}
	}
	if len(samples) == 0 {
		errs = append(errs, fmt.Errorf("samples: the folder %s is empty", source))
	}
	return samples, errors.Join(errs...)
}

// goType is the end of the yaml library's error about an unknown key.
var goType = regexp.MustCompile(` not found in type [A-Za-z.]+`)

func readCase(fsys fs.FS, source, name string) (Sample, error) {
	sample := Sample{Source: source, Case: name}
	file := path.Join(source, name)
	description, err := fs.ReadFile(fsys, file+".yaml")
	if err != nil {
		return sample, fmt.Errorf("samples: %w", err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(description))
	dec.KnownFields(true)
	if err := dec.Decode(&sample); err != nil {
		if of, ok := errors.AsType[*yaml.TypeError](err); ok { // its own text has several lines and names Go types
			err = errors.New(goType.ReplaceAllString(strings.Join(of.Errors, "; "), " is not known"))
		}
		return sample, fmt.Errorf("samples: %s.yaml: %w", file, err)
	}
	if sample.Body, err = readBody(fsys, file); err != nil {
		return sample, fmt.Errorf("samples: %s.yaml %w", file, err)
	}
	return sample, sample.check(file)
}

// readBody reads the body of a sample, whose ending says the format: JSON, XML, or a form (x-www-form-urlencoded). Two
// bodies are an error: which one the sample means is not known.
func readBody(fsys fs.FS, file string) (body []byte, err error) {
	found := 0
	for _, ending := range []string{".json", ".xml", ".form"} {
		one, err := fs.ReadFile(fsys, file+ending)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("has a body that cannot be read: %w", err)
		}
		body = one
		found++
	}
	switch found {
	case 0:
		return nil, fmt.Errorf("has no %s.json, .xml or .form next to it", path.Base(file))
	case 1:
		return body, nil
	}
	return nil, fmt.Errorf("has %d bodies next to it; remove all but one of %s.json, .xml and .form", found, path.Base(file))
}

func (s Sample) check(file string) error {
	if s.LookUp != nil {
		on := s.Expected(true)
		on.LookUp = nil
		if err := on.check(file); err != nil {
			return fmt.Errorf("%w, in look_up", err)
		}
	}
	answers := []deactivation.Answer{deactivation.Accepted, deactivation.Ignored, deactivation.Unmappable, deactivation.Reversed}
	switch {
	case !slices.Contains(answers, s.Answer):
		return fmt.Errorf("samples: %s.yaml: answer must be one of %v", file, answers)
	case (s.Answer == deactivation.Accepted) != (len(s.Requests) > 0):
		return fmt.Errorf("samples: %s.yaml: only the answer %s has requests", file, deactivation.Accepted)
	}
	for _, r := range s.Requests {
		if r.ID == "" || r.Outcome == "" {
			return fmt.Errorf("samples: %s.yaml: each request needs its id and outcome", file)
		}
	}
	return nil
}

// A Signer signs a delivery as its sender does, with one of the sender's secrets; a source's file is one.
type Signer interface {
	Sign(d *signing.Delivery, now time.Time, secret string) error
}

// Sign signs a delivery as its sender does. For a sender that signs with a private key of its own (PayPal) it signs with the
// samples' key, which only a receiver that trusts signingtest.Roots accepts.
func Sign(source Signer, d *signing.Delivery, now time.Time, secret string) error {
	err := source.Sign(d, now, secret)
	if errors.Is(err, signing.ErrOnlySender) {
		return signingtest.SignPayPal(d, now, secret)
	}
	return err
}

// errNoAddress does not quote the address: it may hold a token.
var errNoAddress = errors.New("samples: the address is not an http or https URL")

// webhooksPath is the path of every sender's address, before the source's name.
const webhooksPath = "/webhooks/"

// Signed returns the HTTP request that the sender would post to an address such as http://127.0.0.1:8080. Its path is
// /webhooks/<source>, and it has the sender's headers and a signature with the secret at the given time.
func (s Sample) Signed(source Signer, address, secret string, now time.Time) (*http.Request, error) {
	target := strings.TrimSuffix(address, "/") + webhooksPath + s.Source
	if s.Query != "" {
		target += "?" + s.Query
	}
	if _, err := url.Parse(target); err != nil {
		return nil, errNoAddress
	}
	d := signing.Delivery{Method: http.MethodPost, URL: target, Header: map[string]string{}, Body: s.Body}
	for name, text := range s.Headers {
		d.Header[strings.ToLower(name)] = text
	}
	if err := Sign(source, &d, now, secret); err != nil {
		return nil, err
	}
	req, err := http.NewRequest(d.Method, d.URL, bytes.NewReader(d.Body)) //nolint:noctx // the caller sends it with its own
	if err != nil {
		return nil, errNoAddress
	}
	for name, text := range d.Header {
		req.Header.Set(name, text)
	}
	return req, nil
}

// Read reads one sample by the path of its body, "stripe/full-refund.json", or by its name, "stripe/full-refund". A
// body without a description is a Sample with only its source, case and body.
func Read(fsys fs.FS, file string) (Sample, error) {
	source, base := path.Split(path.Clean(file))
	source = strings.TrimSuffix(source, "/")
	name := strings.TrimSuffix(base, path.Ext(base))
	if _, err := fs.Stat(fsys, path.Join(source, name+".yaml")); err == nil {
		return readCase(fsys, source, name)
	}
	body, err := fs.ReadFile(fsys, file)
	if err != nil {
		return Sample{}, fmt.Errorf("samples: %w", err)
	}
	return Sample{Source: source, Case: name, Body: body}, nil
}
