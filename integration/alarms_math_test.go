package integration

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"text/scanner"
)

// mathExpression computes a data point from those of an alarm's metrics in one period. missing is true where a metric
// that it needs has no data point: CloudWatch then has no data point of the expression.
//
// It implements the metric math that template.yaml uses: numbers, ids, + - * /, > <, IF(condition, then, else) and
// FILL(metric, value). AWS does not document whether FILL fills a metric without any data point; here it does.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
type mathExpression func(metrics func(id string) (value float64, missing bool)) (value float64, missing bool)

func parseMath(t *testing.T, text string) mathExpression {
	t.Helper()
	p := &mathParser{}
	p.Init(strings.NewReader(text))
	p.Mode = scanner.ScanIdents | scanner.ScanFloats
	p.next()
	e, err := p.comparison()
	if err == nil && p.token != scanner.EOF {
		err = fmt.Errorf("unexpected %q", p.TokenText())
	}
	if err != nil {
		t.Fatalf("metric math %q: %v", text, err)
	}
	return e
}

type mathParser struct {
	scanner.Scanner
	token rune
}

func (p *mathParser) next() { p.token = p.Scan() }

func (p *mathParser) expect(token rune) error {
	if p.token != token {
		return fmt.Errorf("%q in place of %q", p.TokenText(), token)
	}
	p.next()
	return nil
}

func (p *mathParser) comparison() (mathExpression, error) { return p.binary("<>", p.sum) }
func (p *mathParser) sum() (mathExpression, error)        { return p.binary("+-", p.product) }
func (p *mathParser) product() (mathExpression, error)    { return p.binary("*/", p.operand) }

func (p *mathParser) binary(operators string, operand func() (mathExpression, error)) (mathExpression, error) {
	left, err := operand()
	for err == nil && strings.ContainsRune(operators, p.token) {
		operator := p.token
		p.next()
		var right mathExpression
		if right, err = operand(); err == nil {
			left = operate(operator, left, right)
		}
	}
	return left, err
}

func operate(operator rune, left, right mathExpression) mathExpression {
	return func(metrics func(string) (float64, bool)) (float64, bool) {
		a, noA := left(metrics)
		b, noB := right(metrics)
		if noA || noB {
			return 0, true
		}
		switch operator {
		case '+':
			return a + b, false
		case '-':
			return a - b, false
		case '*':
			return a * b, false
		case '/':
			return a / b, b == 0
		case '>':
			return truth(a > b), false
		default:
			return truth(a < b), false
		}
	}
}

func truth(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

func (p *mathParser) operand() (mathExpression, error) {
	text, token := p.TokenText(), p.token
	p.next()
	switch {
	case token == scanner.Ident && text == "IF":
		parts, err := p.arguments(3)
		return func(metrics func(string) (float64, bool)) (float64, bool) {
			holds, missing := parts[0](metrics)
			switch {
			case missing:
				return 0, true
			case holds != 0:
				return parts[1](metrics)
			}
			return parts[2](metrics)
		}, err
	case token == scanner.Ident && text == "FILL":
		parts, err := p.arguments(2)
		return func(metrics func(string) (float64, bool)) (float64, bool) {
			if value, missing := parts[0](metrics); !missing {
				return value, false
			}
			return parts[1](metrics)
		}, err
	case token == scanner.Ident:
		return func(metrics func(string) (float64, bool)) (float64, bool) { return metrics(text) }, nil
	case token == scanner.Int || token == scanner.Float:
		n, err := strconv.ParseFloat(text, 64)
		return func(func(string) (float64, bool)) (float64, bool) { return n, false }, err
	case token == '(':
		e, err := p.comparison()
		if err != nil {
			return nil, err
		}
		return e, p.expect(')')
	}
	return nil, fmt.Errorf("unexpected %q", text)
}

// arguments reads "(…, …)" after the name of a function.
func (p *mathParser) arguments(n int) ([]mathExpression, error) {
	parts := make([]mathExpression, n)
	before := '('
	for i := range parts {
		err := p.expect(before)
		if err == nil {
			parts[i], err = p.comparison()
		}
		if err != nil {
			return parts, err
		}
		before = ','
	}
	return parts, p.expect(')')
}

func TestMetricMath(t *testing.T) {
	t.Parallel()
	metrics := func(id string) (float64, bool) {
		value, ok := map[string]float64{"n": 40, "e": 30, "zero": 0}[id]
		return value, !ok
	}
	for _, test := range []struct {
		text    string
		want    float64
		missing bool
	}{
		{"n", 40, false},
		{"n - e - 1", 9, false},
		{"1 + 2 * (e - n) / 4", -4, false},
		{"n > 39 + 1", 0, false},
		{"e < n", 1, false},
		{"IF(n > 20, 100 * e / n, 0)", 75, false},
		{"IF(e > n, 100 * e / n, 0)", 0, false},
		{"IF(n > 20, absent, 0)", 0, true},
		{"IF(absent > 20, 1, 0)", 0, true},
		{"n + absent", 0, true},
		{"n + FILL(absent, 2)", 42, false},
		{"FILL(n, 2)", 40, false},
		{"n / zero", 0, true},
	} {
		got, missing := parseMath(t, test.text)(metrics)
		if missing != test.missing || !missing && got != test.want {
			t.Errorf("%s: got %v (missing: %v), want %v (missing: %v)", test.text, got, missing, test.want, test.missing)
		}
	}
}
