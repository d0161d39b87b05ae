package main

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/signing"
)

// Bounds of the deliveries that are kept for their explanation: the samples and some hundred more.
const (
	maxReceived      = 1000
	maxReceivedBytes = 32 << 20
)

// receivedDeliveries keeps the latest deliveries that licensectl local has accepted, so that the page can explain them. The log has no
// bodies.
type receivedDeliveries struct {
	sources *source.Sources
	policy  webhook.Policy

	mu    sync.Mutex
	all   []receivedDelivery // oldest first
	bytes int
}

// receivedDelivery is one delivery as it was received.
type receivedDelivery struct {
	source   *source.Source
	delivery signing.Delivery
	at       time.Time
	ids      []string // of its events and their requests; nil: not read yet
}

// webhooksPath is where senders post to.
const webhooksPath = "/webhooks/"

// handler serves next, and keeps the deliveries that it accepts.
func (r *receivedDeliveries) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		name, isDelivery := strings.CutPrefix(req.URL.Path, webhooksPath)
		from, known := r.sources.Get(name)
		if !isDelivery || !known || req.Method != http.MethodPost {
			next.ServeHTTP(w, req)
			return
		}
		at := time.Now()
		body, err := io.ReadAll(io.LimitReader(req.Body, webhook.MaxBodyBytes+1))
		req.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(body), errorOr(err, req.Body)), req.Body}
		status := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(status, req)
		if err != nil || len(body) > webhook.MaxBodyBytes || status.code >= http.StatusMultipleChoices {
			return
		}
		d := signing.Delivery{Method: req.Method, URL: "http://" + req.Host + req.URL.RequestURI(), Header: map[string]string{}, Body: body}
		for header, values := range req.Header {
			d.Header[strings.ToLower(header)] = strings.Join(values, ",")
		}
		r.keep(from, d, at)
	})
}

// errorOr is the rest of a body: after an error it is the error again.
func errorOr(err error, rest io.Reader) io.Reader {
	if err != nil {
		return failingReader{err}
	}
	return rest
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	code int
}

func (s *statusWriter) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// keep keeps a delivery, and drops the oldest ones beyond the bounds.
func (r *receivedDeliveries) keep(from *source.Source, d signing.Delivery, at time.Time) {
	one := receivedDelivery{source: from, delivery: d, at: at}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, one)
	r.bytes += len(d.Body)
	for len(r.all) > maxReceived || r.bytes > maxReceivedBytes {
		r.bytes -= len(r.all[0].delivery.Body)
		r.all = r.all[1:]
	}
}

// idsOf returns the ids of a delivery's events and of their requests, as the history has them.
func (r *receivedDeliveries) idsOf(from *source.Source, d signing.Delivery) []string {
	var ids []string
	for _, e := range webhook.Explain(from, d, time.Now(), nil, r.policy).Events {
		ids = append(ids, deactivation.EventRequestID(from.Name, e.EventID()))
		for _, request := range e.Requests {
			ids = append(ids, request.ID)
		}
	}
	return ids
}

// find returns the latest delivery with an event or a request of that id.
func (r *receivedDeliveries) find(id string) (receivedDelivery, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range slices.Backward(r.all) {
		d := &r.all[i]
		if !strings.HasPrefix(id, d.source.Name+".") {
			continue
		}
		if d.ids == nil {
			d.ids = r.idsOf(d.source, d.delivery)
		}
		if slices.Contains(d.ids, id) {
			return *d, true
		}
	}
	return receivedDelivery{}, false
}
