package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
)

const (
	alarmType = "AWS::CloudWatch::Alarm"

	// alarmsPerCall is CloudWatch's limit for DescribeAlarms.
	alarmsPerCall = 100
)

// checkAlarms checks that the stack's alarms notify a topic with a confirmed subscriber, and that none is in ALARM.
func (d *doctor) checkAlarms(ctx context.Context) {
	if d.at == nil || d.at.stack == "" {
		return
	}
	const check = "alarms"
	alarms, err := d.alarms(ctx)
	switch {
	case err != nil:
		d.fail(check, awsHint(err, "cloudformation:ListStackResources and cloudwatch:DescribeAlarms"), "%s", awsProblem(err))
		return
	case len(alarms) == 0:
		d.fail(check, "deploy the stack with the present template", "the stack %s has no alarm", d.at.stack)
		return
	}
	for _, topic := range d.examineAlarms(alarms) {
		d.checkTopic(ctx, topic)
	}
}

// examineAlarms reports what is wrong with the alarms, and returns the topics that they notify.
func (d *doctor) examineAlarms(alarms []cwtypes.MetricAlarm) []string {
	const check = "alarms"
	var inAlarm, silent, disabled []string
	topics := map[string]bool{}
	for _, a := range alarms {
		name := aws.ToString(a.AlarmName)
		if a.StateValue == cwtypes.StateValueAlarm {
			inAlarm = append(inAlarm, name)
		}
		if !aws.ToBool(a.ActionsEnabled) {
			disabled = append(disabled, name)
		}
		if len(a.AlarmActions) == 0 {
			silent = append(silent, name)
		}
		for _, action := range a.AlarmActions {
			if strings.Contains(action, ":sns:") {
				topics[action] = true
			}
		}
	}
	if len(inAlarm) > 0 {
		d.warn(check, "docs/operations.md says for each alarm what to do", "in state ALARM: %s", strings.Join(inAlarm, ", "))
	}
	if len(disabled) > 0 {
		d.warn(check, "aws cloudwatch enable-alarm-actions --alarm-names …", "their actions are disabled: %s", strings.Join(disabled, ", "))
	}
	if len(silent) > 0 {
		d.fail(check, "deploy the stack with the parameter AlarmTopicArn", "%d of %s without an action: nobody is notified", len(silent), count(len(alarms), "alarm"))
	} else {
		d.ok(check, "%s, each with an action", count(len(alarms), "alarm"))
	}
	return slices.Sorted(maps.Keys(topics))
}

// alarms returns the stack's alarms.
func (d *doctor) alarms(ctx context.Context) ([]cwtypes.MetricAlarm, error) {
	stacks := cloudformation.NewFromConfig(d.at.config, func(o *cloudformation.Options) { o.BaseEndpoint = d.at.endpointFor(o.BaseEndpoint) })
	var names []string
	for page := cloudformation.NewListStackResourcesPaginator(stacks, &cloudformation.ListStackResourcesInput{StackName: &d.at.stack}); page.HasMorePages(); {
		out, err := page.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range out.StackResourceSummaries {
			if aws.ToString(r.ResourceType) == alarmType {
				names = append(names, aws.ToString(r.PhysicalResourceId))
			}
		}
	}
	watch := cloudwatch.NewFromConfig(d.at.config, func(o *cloudwatch.Options) { o.BaseEndpoint = d.at.endpointFor(o.BaseEndpoint) })
	var alarms []cwtypes.MetricAlarm
	for some := range slices.Chunk(names, alarmsPerCall) {
		out, err := watch.DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{AlarmNames: some, MaxRecords: aws.Int32(alarmsPerCall)})
		if err != nil {
			return nil, err
		}
		alarms = append(alarms, out.MetricAlarms...)
	}
	if len(alarms) < len(names) {
		return nil, fmt.Errorf("%d of the stack's alarms do not exist: were they deleted by hand?", len(names)-len(alarms))
	}
	return alarms, nil
}

// checkTopic checks that somebody gets what the alarms send to the topic.
func (d *doctor) checkTopic(ctx context.Context, topic string) {
	const check = "alarm topic"
	client := sns.NewFromConfig(d.at.config, func(o *sns.Options) { o.BaseEndpoint = d.at.endpointFor(o.BaseEndpoint) })
	confirmed, pending := 0, 0
	for page := sns.NewListSubscriptionsByTopicPaginator(client, &sns.ListSubscriptionsByTopicInput{TopicArn: &topic}); page.HasMorePages(); {
		out, err := page.NextPage(ctx)
		if err != nil {
			d.fail(check, awsHint(err, "sns:ListSubscriptionsByTopic"), "%s: %s", topic, awsProblem(err))
			return
		}
		for _, s := range out.Subscriptions {
			if strings.HasPrefix(aws.ToString(s.SubscriptionArn), "arn:") {
				confirmed++
			} else {
				pending++ // PendingConfirmation, or Deleted
			}
		}
	}
	switch {
	case confirmed == 0 && pending > 0:
		d.fail(check, "open the confirmation e-mail of AWS", "%s has no confirmed subscriber, %d unconfirmed", topic, pending)
	case confirmed == 0:
		d.fail(check, "aws sns subscribe --topic-arn … --protocol email --notification-endpoint …", "%s has no subscriber: nobody is notified of an alarm", topic)
	default:
		d.ok(check, "%s has %s", topic, count(confirmed, "subscriber"))
	}
}
