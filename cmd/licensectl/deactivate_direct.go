package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/bulk"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/local"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/pkg/licenseapi"
)

const (
	// directBatchRows is the size of a batch of --direct. The target waits for the outcomes of a batch, so a run that is
	// killed calls again for the rows of one batch: a minute's calls at the default pace.
	directBatchRows = 50

	// directFirstRetry is the worker's back-off in production.
	directFirstRetry = 30 * time.Second
)

// bulkDirect is --direct: the webhook function, the queue and the worker of this process.
type bulkDirect struct {
	address     string
	secretsFile string
	sources     func() (*source.Sources, error)
}

func (d *bulkDirect) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.secretsFile, "secrets", "", `with --direct: file with {"license_api":{…},"webhooks":{…}}`)
	cmd.Flags().StringVar(&d.address, "license-api", defaultLicenseAPI, "with --direct: address of the License API, with /api/v4")
}

func (d *bulkDirect) check() error {
	if d.secretsFile == "" {
		return misused(`name a file that holds {"license_api":{"api_key":"…","shared_key":"…"},"webhooks":{}}`, "--direct needs --secrets FILE")
	}
	return checkLicenseAPI(d.address)
}

// open starts the system. closeTarget stops it.
func (d *bulkDirect) open(ctx context.Context, o *deactivateOptions, stderr io.Writer, job *bulk.Job) (closeTarget func(), err error) {
	stored, err := readSecrets(d.secretsFile)
	if err != nil {
		return nil, err
	}
	if _, err := licenseKeys(d.secretsFile); err != nil {
		return nil, err
	}
	sources, err := d.sources()
	if err != nil {
		return nil, err
	}
	licenseSecret, webhooks := stored.Readers(d.secretsFile)
	t, closeTarget, err := startDirect(ctx, local.Config{
		Sources: sources, LicenseSecret: licenseSecret, WebhookSecrets: webhooks, LicenseAPI: d.address,
		CallsPerSecond: o.pace.direct(), FirstRetry: directFirstRetry,
	}, stderr)
	if err != nil {
		return nil, misused("give --license-api such as "+defaultLicenseAPI, "%v", err)
	}
	job.Target, job.TargetName, job.BatchRows = t, "the License API at "+d.address, directBatchRows
	return closeTarget, nil
}

// startDirect starts the webhook function, the queue and the worker in this process, with one call at a time. stop ends
// them.
func startDirect(ctx context.Context, cfg local.Config, stderr io.Writer) (t *directTarget, stop func(), err error) {
	t = &directTarget{stderr: stderr, warned: map[string]bool{}, final: map[string]telemetry.Message{}, deferred: map[string]telemetry.Message{}, changed: make(chan struct{})}
	cfg.CallsInFlight, cfg.Recorder, cfg.OnOutcome = 1, telemetry.New(stderr, slog.LevelError, ""), t.outcome
	if t.stack, err = local.New(cfg); err != nil {
		return nil, nil, err
	}
	working, endWork := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { t.stack.Run(working) })
	return t, func() { endWork(); running.Wait() }, nil
}

// directTarget is a bulk.Target that waits for the outcomes of each batch.
type directTarget struct {
	stack    *local.Stack
	stderr   io.Writer
	warned   map[string]bool // codes of deferred requests that stderr has
	receives int             // after which await returns a deferred request as it is; 0: it waits for the end

	mu       sync.Mutex
	final    map[string]telemetry.Message // by the request's id
	deferred map[string]telemetry.Message // likewise, the latest
	fault    string                       // why no call can succeed; "" for nothing
	changed  chan struct{}                // closed at the next outcome
}

// outcome implements local.Config's OnOutcome.
func (t *directTarget) outcome(m telemetry.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case m.Outcome != deactivation.Deferred:
		t.final[m.ID] = m
	case m.Class == licenseapi.KindBadCredentials.String(), m.Class == licenseapi.KindMisconfigured.String(), m.Class == licenseapi.KindStaleDate.String():
		t.fault = deactivation.CleanText(m.Class + " " + m.Code + " " + m.Detail)
	default:
		t.deferred[m.ID] = m
	}
	close(t.changed)
	t.changed = make(chan struct{})
}

// warn says once for each code why a request waits: a wrong address would otherwise look like a slow run. m is empty for
// a request that does not wait.
func (t *directTarget) warn(m telemetry.Message) {
	if m.Code == "" || t.warned[m.Code] {
		return
	}
	t.warned[m.Code] = true
	fmt.Fprintf(t.stderr, "licensectl: warning: not done yet, tried again: %s\n", deactivation.CleanText(m.Code+" "+m.Detail))
}

// Send implements bulk.Target.
func (t *directTarget) Send(ctx context.Context, b bulk.Batch) (bulk.Answer, error) {
	payload, err := invocationOf(b)
	if err != nil {
		return bulk.Answer{}, err
	}
	out, err := t.stack.Invoke(ctx, payload)
	if err != nil {
		return bulk.Answer{}, err
	}
	rows, err := readRows(out, len(b.Rows))
	if err != nil || b.DryRun {
		return answerOf(rows), err
	}
	answer := bulk.Answer{Outcomes: map[deactivation.Outcome]int{}}
	for i, r := range rows {
		if r.rejected {
			answer.Rejected = append(answer.Rejected, bulk.Rejection{Index: i, Code: r.code, Message: r.message})
			continue
		}
		m, err := t.await(ctx, r.id)
		if err != nil {
			return bulk.Answer{}, err
		}
		answer.Outcomes[m.Outcome]++
		if m.Outcome == deactivation.Rejected {
			answer.Rejected = append(answer.Rejected, bulk.Rejection{Index: i, Code: string(m.Outcome), Message: m.Code + " " + m.Detail})
		} else {
			answer.Accepted++
		}
	}
	return answer, nil
}

// await waits for the final outcome of a request and forgets it.
func (t *directTarget) await(ctx context.Context, id string) (telemetry.Message, error) {
	for {
		t.mu.Lock()
		m, found := t.final[id]
		last := t.deferred[id]
		if !found && t.receives > 0 && last.Attempts >= t.receives {
			m, found = last, true
		}
		fault, changed := t.fault, t.changed
		t.mu.Unlock()
		t.warn(last)
		switch {
		case found:
			t.mu.Lock()
			delete(t.final, id)
			delete(t.deferred, id)
			t.mu.Unlock()
			return m, nil
		case fault != "":
			return m, failed(errors.New("no call can succeed: "+fault), "correct the keys in --secrets or the address in --license-api, then run the same command again")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return m, fmt.Errorf("bulk: %w", ctx.Err())
		}
	}
}
