package main

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"license-deactivator/internal/console"
	"license-deactivator/internal/history"
	"license-deactivator/internal/local"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/webhook"
)

// defaultConsoleAddress is a free port of this machine: the page's address has to be copied for its token anyway, and several
// licensectl local run at the same time.
const defaultConsoleAddress = "127.0.0.1:0"

// localConsole is what the page of licensectl local stands on.
type localConsole struct {
	options  localOptions
	stack    *local.Stack
	memory   *history.Memory
	received *receivedDeliveries
	sources  *source.Sources
	webhooks secrets.Webhooks
	policy   webhook.Policy
	lookUp   string // "on" or "off"
	samples  []sample.Sample
	address  string // of the front door

	mu     sync.Mutex // held while the latest events are read: several windows read once
	latest latestAnswer
}

// latestAnswer are the latest events as they were read. With 10,000 of them a look takes a tenth of a second, so that an answer
// is used for three times as long as it took: open pages take a quarter of one processor at most.
type latestAnswer struct {
	history.Answer
	since, until time.Time
}

const latestUsed = 3

// serve serves the page and returns its address, with the token.
func (c *localConsole) serve(ctx context.Context) (address string, stop func(), err error) {
	config := console.Config{
		Place: "licensectl local at " + c.address, Status: c, History: c, Explainer: c, Letters: c.letters(), AllowWrites: true, Refresh: time.Second,
	}
	if len(c.samples) > 0 {
		config.Samples = c
	}
	return console.Serve(ctx, c.options.consoleAddr, config)
}

// letters works on the queues by their addresses, as licensectl dlq does.
func (c *localConsole) letters() console.Letters {
	at := &target{endpoint: reachable(c.address)}
	return newLetterDesk(letterDesk{
		open: func(ctx context.Context) (*place, error) {
			p, err := at.open(ctx, queueURL, deadLetterQueueURL, workerFunctionName)
			if err == nil {
				p.outputs[stackMode] = c.options.mode
			}
			return p, err
		},
		sources:   func() (*source.Sources, error) { return c.sources, nil },
		perSecond: defaultLettersPerSecond,
		poll:      -1, // a queue in memory hands out all of its letters
	})
}

// reachable is the address by which this machine reaches a server that listens on all of its addresses.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address[len("http://"):])
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return "http://" + net.JoinHostPort("127.0.0.1", port)
	}
	return address
}

// Ask implements console.History.
func (c *localConsole) Ask(ctx context.Context, q history.Question, since time.Time) (history.Answer, error) {
	if q == history.OfLatest() {
		return c.askLatest(ctx, since)
	}
	found, err := c.memory.Find(ctx, q, since)
	if err != nil {
		return history.Answer{}, failed(err, "")
	}
	return history.Tell(q, found), nil
}

// askLatest returns the latest events since that time.
func (c *localConsole) askLatest(ctx context.Context, since time.Time) (history.Answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begin := time.Now()
	since = since.Truncate(time.Minute) // looks within a minute ask for the same
	if since.Equal(c.latest.since) && begin.Before(c.latest.until) {
		return c.latest.Answer, nil
	}
	found, err := c.memory.Find(ctx, history.OfLatest(), since)
	if err != nil {
		return history.Answer{}, failed(err, "")
	}
	c.latest = latestAnswer{Answer: history.Tell(history.OfLatest(), found), since: since}
	c.latest.until = time.Now().Add(latestUsed * time.Since(begin))
	return c.latest.Answer, nil
}

// Explain implements console.Explainer.
func (c *localConsole) Explain(_ context.Context, id string) (console.Explanation, error) {
	d, ok := c.received.find(id)
	if !ok {
		return console.Explanation{}, console.ErrNoBody
	}
	s := subject{name: id, source: d.source, delivery: d.delivery, at: d.at, secrets: &c.webhooks, policy: c.policy}
	explanation, err := s.explain()
	if err != nil {
		return console.Explanation{}, failed(err, "")
	}
	return explainedForPage(s, explanation), nil
}

// Samples implements console.Samples.
func (c *localConsole) Samples() []console.Sample {
	all := make([]console.Sample, len(c.samples))
	for i, s := range c.samples {
		all[i] = console.Sample{Name: s.Name(), Source: s.Source, About: s.About}
	}
	return all
}

// Send implements console.Samples.
func (c *localConsole) Send(ctx context.Context, name string) (console.Sent, error) {
	i := slices.IndexFunc(c.samples, func(s sample.Sample) bool { return s.Name() == name })
	if i < 0 {
		return console.Sent{}, misused("choose one of the page", "there is no sample %q", visible(name))
	}
	s := c.samples[i]
	from, ok := c.sources.Get(s.Source)
	secret := firstSecret(c.webhooks)(s.Source)
	if !ok || secret == "" {
		return console.Sent{}, misused("give it a secret in --secrets", "the sender %s has no file or no secret here", s.Source)
	}
	req, err := s.Signed(from, reachable(c.address), secret, time.Now())
	if err != nil {
		return console.Sent{}, failed(err, "is the secret in this sender's form?")
	}
	resp, err := http.DefaultClient.Do(req.WithContext(ctx))
	if err != nil {
		return console.Sent{}, failed(err, "")
	}
	_ = resp.Body.Close()
	sent := console.Sent{Status: resp.StatusCode}
	if ids := c.received.idsOf(from, delivery(s.Body, s.Headers)); len(ids) > 0 {
		sent.ID = ids[0]
	}
	return sent, nil
}
