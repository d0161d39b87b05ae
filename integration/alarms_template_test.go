package integration

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// alarmDefinition is one alarm of template.yaml. Dimension values are logical ids, as the template has them.
type alarmDefinition struct {
	id, description string
	condition       string // without which the stack does not have the alarm; "" for none

	// The alarm compares expression, which refers to metrics by their ids; "" is the one metric.
	expression mathExpression
	metrics    map[string]metricStat

	period    time.Duration
	evaluated int // EvaluationPeriods, N
	toAlarm   int // DatapointsToAlarm, M
	breaches  func(value float64) bool
}

// metricStat is a metric and how one period of it becomes a data point.
type metricStat struct {
	metric    string // "AWS/SQS ApproximateNumberOfMessagesVisible QueueName=Queue"
	statistic string // Sum, Maximum, SampleCount
}

// theOneMetric is the id of the metric of an alarm without an expression.
const theOneMetric = "m"

// alarmDefinitions reads every alarm out of template.yaml, with the parameters' defaults.
func alarmDefinitions(t *testing.T) []alarmDefinition {
	t.Helper()
	template := readTemplate(t)
	resources, _ := at(template, "Resources").(map[string]any)
	var alarms []alarmDefinition
	for id, resource := range resources {
		if at(resource, "Type") == "AWS::CloudWatch::Alarm" {
			alarms = append(alarms, readAlarm(t, template, id))
		}
	}
	slices.SortFunc(alarms, func(a, b alarmDefinition) int { return strings.Compare(a.id, b.id) })
	if len(alarms) == 0 {
		t.Fatal("template.yaml has no alarm")
	}
	return alarms
}

func readAlarm(t *testing.T, template any, id string) alarmDefinition {
	t.Helper()
	p := at(template, "Resources", id, "Properties")
	a := alarmDefinition{id: id, metrics: map[string]metricStat{}}
	a.description, _ = at(p, "AlarmDescription").(string)
	a.condition, _ = at(template, "Resources", id, "Condition").(string)
	a.evaluated, _ = at(p, "EvaluationPeriods").(int)
	a.toAlarm = a.evaluated // CloudFormation's default
	if m, ok := at(p, "DatapointsToAlarm").(int); ok {
		a.toAlarm = m
	}
	if at(p, "TreatMissingData") != "notBreaching" {
		t.Fatalf("%s: TreatMissingData is %v; this test evaluates only notBreaching", id, at(p, "TreatMissingData"))
	}

	seconds := at(p, "Period")
	if metrics, ok := at(p, "Metrics").([]any); ok {
		for _, m := range metrics {
			name, _ := at(m, "Id").(string)
			if text, ok := at(m, "Expression").(string); ok {
				a.expression = parseMath(t, text)
				continue
			}
			seconds = at(m, "MetricStat", "Period")
			a.metrics[name] = readMetric(t, id, at(m, "MetricStat", "Metric"), at(m, "MetricStat", "Stat"))
		}
	} else {
		a.metrics[theOneMetric] = readMetric(t, id, p, at(p, "Statistic"))
		a.expression = parseMath(t, theOneMetric)
	}
	n, ok := seconds.(int)
	if a.period = time.Duration(n) * time.Second; !ok || a.period%time.Minute != 0 || a.evaluated < 1 || a.toAlarm < 1 {
		t.Fatalf("%s: %d of %d periods of %v s", id, a.toAlarm, a.evaluated, seconds)
	}
	a.breaches = readThreshold(t, template, id)
	return a
}

func readMetric(t *testing.T, id string, metric, statistic any) metricStat {
	t.Helper()
	var dimensions []string
	list, _ := at(metric, "Dimensions").([]any)
	for _, d := range list {
		value := at(d, "Value")
		name, _ := value.(string)
		if reference := ref(value); reference != "" {
			name = reference
		} else if attribute, ok := at(value, "Fn::GetAtt", 0).(string); ok {
			name = attribute
		}
		if name == "" {
			t.Fatalf("%s: the dimension %v is %v", id, at(d, "Name"), value)
		}
		dimensions = append(dimensions, fmt.Sprintf("%v=%s", at(d, "Name"), name))
	}
	stat, _ := statistic.(string)
	if stat != "Sum" && stat != "Maximum" && stat != "SampleCount" {
		t.Fatalf("%s: the statistic is %v; this test evaluates only Sum, Maximum and SampleCount", id, statistic)
	}
	return metricStat{metricKey(fmt.Sprint(at(metric, "Namespace")), fmt.Sprint(at(metric, "MetricName")), dimensions...), stat}
}

func readThreshold(t *testing.T, template any, id string) func(float64) bool {
	t.Helper()
	p := at(template, "Resources", id, "Properties")
	threshold := at(p, "Threshold")
	if name := ref(threshold); name != "" {
		threshold = at(template, "Parameters", name, "Default")
	}
	n, ok := threshold.(int)
	limit := float64(n)
	switch comparison := at(p, "ComparisonOperator"); {
	case ok && comparison == "GreaterThanThreshold":
		return func(value float64) bool { return value > limit }
	case ok && comparison == "LessThanThreshold":
		return func(value float64) bool { return value < limit }
	}
	t.Fatalf("%s: %v %v", id, at(p, "ComparisonOperator"), at(p, "Threshold"))
	return nil
}

// readTemplate reads template.yaml with its short forms as objects: !Ref X is {"Ref": "X"}.
func readTemplate(t *testing.T) any {
	t.Helper()
	content, err := os.ReadFile("../template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	return longForm(t, document.Content[0])
}

func longForm(t *testing.T, node *yaml.Node) any {
	t.Helper()
	var value any
	switch node.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for pair := range slices.Chunk(node.Content, 2) {
			m[pair[0].Value] = longForm(t, pair[1])
		}
		value = m
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range node.Content {
			list = append(list, longForm(t, item))
		}
		value = list
	default:
		value = node.Value
		if !isShortForm(node) {
			if err := node.Decode(&value); err != nil {
				t.Fatalf("template.yaml:%d: %v", node.Line, err)
			}
		}
	}
	switch name := strings.TrimPrefix(node.Tag, "!"); {
	case !isShortForm(node):
		return value
	case name == "Ref":
		return map[string]any{"Ref": value}
	case name == "GetAtt":
		id, attribute, _ := strings.Cut(node.Value, ".")
		return map[string]any{"Fn::GetAtt": []any{id, attribute}}
	default:
		return map[string]any{"Fn::" + name: value}
	}
}

func isShortForm(node *yaml.Node) bool {
	return strings.HasPrefix(node.Tag, "!") && !strings.HasPrefix(node.Tag, "!!")
}
