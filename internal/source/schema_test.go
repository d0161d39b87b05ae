package source_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"license-deactivator/internal/source"
)

// complete is a small file with everything that a file needs, so that each fault below is the only one.
const complete = `verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {id: id, type: type}
license: [data]
`

func TestFaultsOfASourcesFileAreNamedByFileAndLine(t *testing.T) {
	t.Parallel()
	rules := func(rule string) string { return complete + "rules:\n" + rule }
	for name, c := range map[string]struct{ file, want string }{
		"empty":                        {"", "tiny.yaml:1:"},
		"not YAML":                     {"a: [", "tiny.yaml:1: not YAML: "},
		"not YAML further down":        {complete + "rules: [\n", "tiny.yaml:4: not YAML: "},
		"a second document":            {complete + "rules: [{name: r, when: a}]\n---\nrules: [{name: s, when: b}]\n", "tiny.yaml:5: a second YAML document"},
		"a list":                       {"- a", "tiny.yaml:1: a source's file must be a mapping"},
		"unknown key":                  {rules("  - {name: r, type: t}\n") + "tolerances: 5m\n", `tiny.yaml:6: unknown key "tolerances"`},
		"unknown key of a rule":        {rules("  - name: r\n    type: t\n    causes: refund\n"), `tiny.yaml:7: unknown key "causes" in a rule`},
		"a key twice":                  {rules("  - {name: r, type: t}\n") + "body: json\nbody: json\n", `tiny.yaml:7: key "body" occurs twice`},
		"no verify":                    {"license: [data]\nrules: [{name: r, when: a}]\n", "tiny.yaml:1: verify is missing"},
		"no rules":                     {complete, "tiny.yaml:1: rules is missing"},
		"a rule without name":          {rules("  - {type: t}\n"), "tiny.yaml:5: the rule has no name"},
		"a rule that takes all":        {rules("  - {name: r, cause: refund}\n"), `tiny.yaml:5: rule "r" has neither type nor when`},
		"an empty when":                {rules("  - name: r\n    when:\n"), "tiny.yaml:6: a text is needed here"},
		"when: !a is an empty when":    {rules("  - name: r\n    when: !a\n"), "tiny.yaml:6: a text is needed here"},
		"an empty list":                {rules("  - name: r\n    when: []\n"), "tiny.yaml:6: the list is empty"},
		"cause and ignore":             {rules("  - {name: r, type: t, cause: refund, ignore: true}\n"), `tiny.yaml:5: rule "r" has cause and ignore; only one of cause, ignore, review and reversal is allowed`},
		"cause and review":             {rules("  - {name: r, type: t, cause: refund, review: true}\n"), `rule "r" has cause and review;`},
		"cause and reversal":           {rules("  - {name: r, type: t, cause: refund, reversal: true}\n"), `rule "r" has cause and reversal;`},
		"ignore and review":            {rules("  - {name: r, type: t, ignore: true, review: true}\n"), `rule "r" has ignore and review;`},
		"review and reversal":          {rules("  - {name: r, type: t, review: true, reversal: true}\n"), `rule "r" has review and reversal;`},
		"lines to review":              {complete + "lines: {each: lines, license: [own], refunded: r}\nrules:\n  - {name: r, type: t, lines: refunded, review: true}\n", "tiny.yaml:6: "},
		"an unsigned header in when":   {rules("  - {name: r, when: {header: X-Kind, is: refund}, cause: refund}\n"), `tiny.yaml:5: rule "r" reads the header x-kind, which is not signed`},
		"one to review":                {rules("  - {name: r, when: [a, {header: X-Kind, is: refund}], review: true}\n"), `tiny.yaml:5: rule "r" reads the header x-kind, which is not signed`},
		"one of a line":                {complete + "lines: {each: lines, license: [own], refunded: {header: X-Whole, is: a}}\nrules:\n  - {name: r, type: t, lines: refunded, cause: refund}\n", "tiny.yaml:1: lines.refunded reads the header x-whole, which is not signed"},
		"one that one scheme signs":    {"verify:\n  - {header: X-Sig, form: \"{signature}\", signed: \"{X-Kind}.{body}\", mac: hmac-sha256, encoding: hex}\n  - {header: X-Old, form: \"{signature}\", signed: \"{body}\", mac: hmac-sha256, encoding: hex}\nlicense: [data]\nrules:\n  - {name: r, when: {header: X-Kind, is: refund}, cause: refund}\n", `rule "r" reads the header x-kind, which is not signed`},
		"written by nobody":            {strings.Replace(rules("  - {name: r, type: t}\n"), "[data]", "[{pairs: data, by: seller}]", 1), `tiny.yaml:3: "seller" is not one of buyer`},
		"by and no place":              {strings.Replace(rules("  - {name: r, type: t}\n"), "[data]", "[{by: buyer}]", 1), "tiny.yaml:3: a field source is an expression, pairs, or one field"},
		"a receipt for JSON":           {rules("  - {name: r, type: t}\n") + "answer: 2checkout\n", `tiny.yaml:1: answer: 2checkout is signed over a form`},
		"a body of another format":     {rules("  - {name: r, type: t}\n") + "body: csv\n", `tiny.yaml:6: "csv" is not one of json, xml, form`},
		"unknown cause":                {rules("  - {name: r, type: t, cause: whim}\n"), `tiny.yaml:5: "whim" is not one of refund`},
		"the same name twice":          {rules("  - {name: r, type: t}\n  - {name: r, type: u}\n"), `tiny.yaml:6: a second rule has the name "r"`},
		"lines that are not there":     {rules("  - {name: r, type: t, lines: refunded}\n"), "tiny.yaml:5: rule \"r\" is for lines refunded"},
		"expression does not compile":  {rules("  - name: r\n    when: a ==\n"), "tiny.yaml:6: not a JMESPath expression"},
		"a wrong operator":             {rules("  - name: r\n    when: a => b\n"), `tiny.yaml:6: not a JMESPath expression from "=> b" on`},
		"unknown function":             {rules("  - name: r\n    when: foo(a)\n"), "tiny.yaml:6: unknown function"},
		"panics when evaluated":        {rules("  - name: r\n    when: \"@()\"\n"), "tiny.yaml:6: the expression makes the JMESPath library fail"},
		"panics when compiled":         {rules("  - name: r\n    when: \"A\u0080\"\n"), "tiny.yaml:"},
		"a condition with half":        {rules("  - name: r\n    when: {header: X-A}\n"), "tiny.yaml:6: expected header and is"},
		"scheme without tolerance":     {strings.Replace(rules("  - {name: r, type: t}\n"), `form: "{signature}"`, `form: "{signature}", timestamp: X-Time`, 1), "tiny.yaml:1:"},
		"type from an unsigned header": {"verify: {header: X-Sig, form: \"{signature}\", signed: \"{body}\", mac: hmac-sha256, encoding: hex}\nevent: {type: {header: X-Topic}}\nlicense: [data]\nrules:\n  - {name: r, type: t}\n", `tiny.yaml:5: rule "r" has a type, which comes from an unsigned header`},
		"a place of two fields":        {strings.Replace(rules("  - {name: r, type: t}\n"), "[data]", "[{product: a, license_key: b}]", 1), "tiny.yaml:3: a field source reads one field"},
		"pairs without value":          {strings.Replace(rules("  - {name: r, type: t}\n"), "[data]", "[{pairs: a, name: b}]", 1), "tiny.yaml:3: value is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := source.Load(fstest.MapFS{"tiny.yaml": {Data: []byte(c.file)}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s…", err, c.want)
			}
		})
	}
}

func TestWhatAFileMaySayOfHeaders(t *testing.T) {
	t.Parallel()
	const signed = `verify: {header: X-Sig, form: "{signature}", signed: "{X-Kind}.{body}", mac: hmac-sha256, encoding: hex}
license: [data]
`
	for name, file := range map[string]string{
		"an unsigned one in a rule that ignores": complete + "rules: [{name: r, when: {header: X-Kind, is: a}, ignore: true}]",
		"one that every scheme signs":            signed + "rules: [{name: r, when: {header: X-Kind, is: a}, cause: refund}]",
		"an unsigned one of the test mode":       strings.Replace(complete, "type: type", "type: type, test: {header: X-Test, is: a}", 1) + "rules: [{name: r, type: t}]",
	} {
		if _, err := source.Load(fstest.MapFS{"tiny.yaml": {Data: []byte(file)}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAllFaultsOfAllFilesAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	broken := complete + "rules:\n  - {name: r}\n  - {name: s, type: t, cause: whim}\n"
	_, err := source.Load(fstest.MapFS{"one.yaml": {Data: []byte(broken)}, "two.yaml": {Data: []byte(complete)}, "Bad Name.yaml": {Data: []byte(complete)}})
	for _, want := range []string{`one.yaml:6: "whim"`, "two.yaml:1: rules is missing", "Bad Name.yaml:1: the file's name"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

func TestAFolderWithoutFilesIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := source.Load(fstest.MapFS{}); err == nil {
		t.Error("no error")
	}
}

func TestPayPalsSchemeStandsAloneInAFile(t *testing.T) {
	t.Parallel()
	const rest = "license: [data]\nevent: {type: type}\nrules: [{name: r, type: t, cause: refund}]\n"
	for file, want := range map[string]string{
		"verify: {scheme: paypal}\n" + rest:                           "",
		"verify: {scheme: paypal, require: \"kind == 'a'\"}\n" + rest: "",
		"verify: {scheme: stripe}\n" + rest:                           `tiny.yaml:1: "stripe" is not one of paypal`,
		"verify: {scheme: paypal, header: X-Sig}\n" + rest:            "tiny.yaml:1: signing: scheme: stands alone",
		"verify: {scheme: paypal, tolerance: 5m}\n" + rest:            "tiny.yaml:1: signing: scheme: stands alone",
		"verify: [{scheme: paypal}, {header: X-Sig, form: \"{signature}\", signed: \"{body}\", mac: hmac-sha256, encoding: hex}]\n" + rest: "a webhook id is no secret",
	} {
		_, err := source.Load(fstest.MapFS{"tiny.yaml": {Data: []byte(file)}})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", file, err, want)
		}
	}
}
