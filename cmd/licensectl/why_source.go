package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/smithy-go"

	"license-deactivator/internal/history"
	"license-deactivator/internal/local"
)

// source returns where the question goes: CloudWatch Logs, or a running licensectl local.
func (o *whyOptions) source(ctx context.Context) (history.Source, error) {
	if err := o.target.check(); err != nil {
		return nil, err
	}
	switch {
	case o.isLocal():
		return &localHistory{o.target.endpoint}, nil
	case o.target.stack != "" && len(o.groups) > 0:
		return nil, misused("leave out one of them", "--stack cannot be combined with --log-group")
	case o.target.stack == "" && len(o.groups) == 0:
		return nil, misused("name a deployed stack with --stack, or a running licensectl local with --endpoint-url http://"+defaultAddress, "there is no log to read")
	case len(o.groups) > history.MaxGroups:
		return nil, misused("name those of the two functions", "at most %d log groups can be read at once", history.MaxGroups)
	}
	cfg, err := o.target.loadConfig(ctx)
	if err != nil {
		return nil, err
	}
	p := &place{target: &o.target, config: cfg}
	groups := o.groups
	if len(groups) == 0 {
		groups = p.logGroups()
	}
	return p.insights(groups), nil
}

// insights is the history in log groups.
func (p *place) insights(groups []string) *history.Insights {
	client := cloudwatchlogs.NewFromConfig(p.config, func(o *cloudwatchlogs.Options) { o.BaseEndpoint = p.endpointFor(o.BaseEndpoint) })
	return &history.Insights{Logs: insights{client}, Groups: groups, Now: time.Now}
}

// notAnswered is the error of a question that has no answer.
func (o *whyOptions) notAnswered(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if o.isLocal() {
		return failed(err, "is licensectl local running at that address?")
	}
	if errors.Is(err, context.DeadlineExceeded) { // it is a net.Error, too
		return failed(fmt.Errorf("the log was not read within %v", whyTimeout), "ask for a shorter time with --since")
	}
	if answer, ok := errors.AsType[smithy.APIError](err); ok {
		switch answer.ErrorCode() {
		case "ResourceNotFoundException":
			return failed(fmt.Errorf("there is no such log group: %s", answer.ErrorMessage()),
				"is it the stack's name, in the right region (AWS_REGION) and account (AWS_PROFILE)?")
		case "LimitExceededException":
			return failed(fmt.Errorf("the log cannot be read: %s", awsProblem(err)), "too many queries of this account run at once: try again in a minute")
		}
	}
	return awsFailed(err, "logs:StartQuery, logs:GetQueryResults and logs:StopQuery", "the log cannot be read")
}

// insights is history.Logs by AWS's client.
type insights struct{ client *cloudwatchlogs.Client }

// Start implements history.Logs.
func (i insights) Start(ctx context.Context, groups []string, from, to time.Time, query string) (string, error) {
	out, err := i.client.StartQuery(ctx, &cloudwatchlogs.StartQueryInput{
		LogGroupNames: groups, StartTime: aws.Int64(from.Unix()), EndTime: aws.Int64(to.Unix()), QueryString: &query,
	})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.QueryId), nil
}

// Result implements history.Logs.
func (i insights) Result(ctx context.Context, id string) (history.Result, error) {
	out, err := i.client.GetQueryResults(ctx, &cloudwatchlogs.GetQueryResultsInput{QueryId: &id})
	if err != nil {
		return history.Result{}, err
	}
	result := history.Result{Status: history.Status(out.Status)}
	result.At, _ = awsmiddleware.GetServerTime(out.ResultMetadata)
	for _, row := range out.Results {
		fields := map[string]string{}
		for _, field := range row {
			fields[aws.ToString(field.Field)] = aws.ToString(field.Value)
		}
		if line, ok := fields["@message"]; ok {
			result.Lines = append(result.Lines, line)
		} else {
			result.Rows = append(result.Rows, fields)
		}
	}
	if s := out.Statistics; s != nil {
		result.Bytes, result.Records, result.Matched = int64(s.BytesScanned), int64(s.RecordsScanned), int64(s.RecordsMatched)
	}
	return result, nil
}

// Stop implements history.Logs.
func (i insights) Stop(ctx context.Context, id string) error {
	_, err := i.client.StopQuery(ctx, &cloudwatchlogs.StopQueryInput{QueryId: &id})
	return err
}

// maxHistoryBytes bounds an answer of licensectl local: twice what it keeps.
const maxHistoryBytes = 256 << 20

// localHistory is a running licensectl local.
type localHistory struct{ address string }

// Find implements history.Source.
func (l *localHistory) Find(ctx context.Context, q history.Question, since time.Time) (history.Found, error) {
	parameters := url.Values{"since": {since.UTC().Format(time.RFC3339)}}
	for name, text := range map[string]string{"order": q.Order, "license_hash": q.LicenseHash, "id": q.ID, "run": q.Run} {
		if text != "" {
			parameters.Set(name, text)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(l.address, "/")+local.HistoryPath+"?"+parameters.Encode(), nil)
	if err != nil {
		return history.Found{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return history.Found{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxHistoryBytes))
	if err != nil {
		return history.Found{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return history.Found{}, fmt.Errorf("%s answers %s", l.address, resp.Status)
	}
	var answer history.Answer
	if err := json.Unmarshal(body, &answer); err != nil {
		return history.Found{}, fmt.Errorf("%s gives no history: %w", l.address, err)
	}
	return history.Found{Lines: answer.Lines, Scan: answer.Scan}, nil
}
