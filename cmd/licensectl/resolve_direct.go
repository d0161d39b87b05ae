package main

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/local"
)

// directReceives is how often --direct tries a request whose outcome stays open, with the worker's growing waits between:
// about three minutes in all.
const directReceives = 4

// runWorker runs the worker in this process on the requests: the same checks, limiter and outcomes as in the stack, with
// the keys and addresses by which the preview was read.
func (o *resolveOptions) runWorker(stderr io.Writer, c clock) func(ctx context.Context, run, by string, todo []pending) ([]resolvedLicense, error) {
	return func(ctx context.Context, run, by string, todo []pending) ([]resolvedLicense, error) {
		sources, err := o.spring.sources()
		if err != nil {
			return nil, err
		}
		_, webhooks := local.FixedSecrets(sources).Readers("") // no sender can reach this process
		worker, stop, err := startDirect(ctx, local.Config{
			Sources: sources, LicenseSecret: o.keys.reader, WebhookSecrets: webhooks, LicenseAPI: o.keys.licenseAPI, ManagementAPI: o.keys.managementAPI,
			CallsPerSecond: o.callsPerSecond, ManagementCallsPerMinute: o.spring.managementPerMinute, FirstRetry: cmp.Or(c.firstRetry, directFirstRetry),
		}, stderr)
		if err != nil {
			return nil, misused("give --license-api such as "+defaultLicenseAPI, "%v", err)
		}
		defer stop()
		worker.receives = directReceives
		return o.sendTo(ctx, worker, run, by, todo)
	}
}

// sendTo enqueues the requests in this process and waits for the outcome of each.
func (o *resolveOptions) sendTo(ctx context.Context, worker *directTarget, run, by string, todo []pending) ([]resolvedLicense, error) {
	rows, results, err := o.enqueue(ctx, run, by, todo, worker.stack.Invoke, "")
	if err != nil {
		return nil, err
	}
	for i, row := range rows {
		if row.rejected {
			continue
		}
		m, err := worker.await(ctx, row.id)
		if err != nil {
			results[i].Outcome, results[i].Message = outcomeFailed, deactivation.CleanText(err.Error())
			continue
		}
		results[i].Outcome, results[i].Code, results[i].Message = string(m.Outcome), m.Code, m.Detail
		if m.Outcome == deactivation.Deferred {
			results[i].Outcome, results[i].Message = outcomeFailed, fmt.Sprintf("not done after %s: %s", count(m.Attempts, "attempt"), m.Detail)
		}
	}
	return results, nil
}
