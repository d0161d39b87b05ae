package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
)

// allOutputs are the outputs of a stack that the commands use.
func allOutputs() (all []resource) {
	for r := webhookFunctionName; r.output() != ""; r++ {
		all = append(all, r)
	}
	return all
}

// checkTarget checks the credentials and the stack's outputs.
func (d *doctor) checkTarget(ctx context.Context) {
	to := &d.options.target
	if !to.given() {
		return
	}
	at, err := to.open(ctx)
	if err != nil {
		d.failWith("target", err)
		return
	}
	d.at = at
	if at.isLocal() {
		return
	}
	client := sts.NewFromConfig(at.config, func(o *sts.Options) { o.BaseEndpoint = at.endpointFor(o.BaseEndpoint) })
	switch caller, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); {
	case err != nil:
		d.fail("credentials", awsHint(err, "sts:GetCallerIdentity"), "%s", awsProblem(err))
	default:
		d.ok("credentials", "%s", aws.ToString(caller.Arn))
	}
	if at.stack == "" {
		return
	}
	var missing []string
	for _, r := range allOutputs() {
		if at.of(r) == "" {
			missing = append(missing, r.output())
		}
	}
	switch {
	case len(missing) > 0:
		d.fail("stack", "deploy it with the present template", "%s has no output %s", at.stack, strings.Join(missing, ", "))
	case at.watches():
		d.warn("stack", "deploy it with Mode=act when the dead letters `watched` look right", "%s is in watch mode: nothing is deactivated", at.stack)
	default:
		d.ok("stack", "%s, mode %s", at.stack, at.of(stackMode))
	}
}

// checkFunctions invokes the webhook function with a dry run of no request, and checks that the worker gets the queue's
// messages.
func (d *doctor) checkFunctions(ctx context.Context) {
	if d.at == nil {
		return
	}
	if d.at.of(webhookFunctionName) != "" {
		const check = "webhook function"
		out, err := d.at.webhookFunction().invoke(ctx, []byte(`{"source":"doctor","dry_run":true,"requests":[]}`))
		if err == nil {
			_, err = readRows(out, 0)
		}
		if err != nil {
			d.fail(check, awsHint(err, "lambda:InvokeFunction"), "%s: %s", d.at.of(webhookFunctionName), awsProblem(err))
		} else {
			d.ok(check, "%s answers", d.at.of(webhookFunctionName))
		}
	}
	worker := d.at.of(workerFunctionName)
	if worker == "" || d.at.isLocal() {
		return
	}
	const check = "worker function"
	client := lambda.NewFromConfig(d.at.config, func(o *lambda.Options) { o.BaseEndpoint = d.at.endpointFor(o.BaseEndpoint) })
	mappings, err := client.ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{FunctionName: &worker})
	switch {
	case err != nil:
		d.fail(check, awsHint(err, "lambda:ListEventSourceMappings"), "%s: %s", worker, awsProblem(err))
	case len(mappings.EventSourceMappings) == 0:
		d.fail(check, "deploy the stack again", "%s has no event source mapping: it gets no message", worker)
	case aws.ToString(mappings.EventSourceMappings[0].State) != "Enabled":
		d.fail(check, "enable it: docs/operations.md, \"Stop and start\"", "the event source mapping of %s is %s: it gets no message", worker,
			aws.ToString(mappings.EventSourceMappings[0].State))
	default:
		d.ok(check, "%s gets the queue's messages", worker)
	}
}

// checkQueues reads the depth of both queues.
func (d *doctor) checkQueues(ctx context.Context) {
	if d.at == nil {
		return
	}
	for _, q := range []struct {
		check string
		r     resource
	}{{"queue", queueURL}, {"dead-letter queue", deadLetterQueueURL}} {
		url := d.at.of(q.r)
		if url == "" {
			continue
		}
		visible, hidden, err := queue.OpenSQS(d.at.config, d.at.endpoint, url).Depth(ctx)
		switch {
		case err != nil:
			d.fail(q.check, awsHint(err, "sqs:GetQueueAttributes"), "%s: %s", url, awsProblem(err))
		case q.r == deadLetterQueueURL && visible+hidden > 0:
			d.warn(q.check, "licensectl dlq list says why", "%s to review", count(visible+hidden, "letter"))
		default:
			d.ok(q.check, "%s, %d of them hidden", count(visible+hidden, "message"), hidden)
		}
	}
}

// checkLogs asks a question of the last second to the functions' logs, as licensectl why does.
func (d *doctor) checkLogs(ctx context.Context) {
	if d.at == nil || d.at.stack == "" {
		return
	}
	const check = "logs"
	groups := d.at.logGroups()
	client := cloudwatchlogs.NewFromConfig(d.at.config, func(o *cloudwatchlogs.Options) { o.BaseEndpoint = d.at.endpointFor(o.BaseEndpoint) })
	now := time.Now().Unix()
	query, err := client.StartQuery(ctx, &cloudwatchlogs.StartQueryInput{
		LogGroupNames: groups, QueryString: aws.String("fields @message | limit 1"), StartTime: aws.Int64(now - 1), EndTime: &now,
	})
	if err != nil {
		d.fail(check, awsHint(err, "logs:StartQuery and logs:GetQueryResults"), "%s: %s", strings.Join(groups, ", "), awsProblem(err))
		return
	}
	if _, err := client.GetQueryResults(ctx, &cloudwatchlogs.GetQueryResultsInput{QueryId: query.QueryId}); err != nil {
		d.fail(check, awsHint(err, "logs:GetQueryResults"), "%s", awsProblem(err))
		return
	}
	d.ok(check, "%s can be asked", count(len(groups), "log group"))
}

// checkLicenseSecret reads and parses the license secret.
func (d *doctor) checkLicenseSecret(ctx context.Context) {
	f := &d.options.spring
	if f.secretsFile == "" && (d.at == nil || d.at.stack == "" && !d.at.isLocal()) {
		return
	}
	if f.secretsFile == "" && !d.at.isLocal() && d.at.of(licenseAPISecretARN) == "" {
		return // checkTarget has reported it
	}
	const check = "license secret"
	s := &spring{licenseAPI: f.licenseAPI, managementAPI: f.managementAPI}
	if err := f.readSecret(ctx, s, d.at); err != nil {
		d.failWith(check, err)
		return
	}
	if err := s.readWorker(ctx, d.at); err != nil {
		d.failWith("worker settings", err)
		return
	}
	s.addresses()
	keys, err := secrets.ParseLicense(s.text)
	if err != nil {
		d.fail(check, fmt.Sprintf("correct %s", f.secretName(d.at)), "%v", err)
		return
	}
	d.keys = s
	if keys.OAuth() {
		d.ok(check, "%s: an OAuth client", f.secretName(d.at))
	} else {
		d.ok(check, "%s: an API key", f.secretName(d.at))
	}
}
