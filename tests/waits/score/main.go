// Command score holds what gcore-inspect says of generated programs against their own books.
//
//	score [-docs FILE] DIR...
//
// DIR has a folder for each run: "book" (what a stuck program printed), "verdicts" (deadlock -v
// as JSON), "label" (how it was built and dumped). In DIR/healthy each line is a dump of a healthy
// program: its release, build, kind of dump, and the exit status of --check. With -docs the numbers are
// written between the marks in FILE too: those of stuck programs, of healthy ones, or both, as there
// are. Several DIRs are counted together. Exit status 1: something is wrong, or too much is missed.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// An entry of a book: a lock, or a scenario.
type entry struct {
	Addr    string
	Owners  []int
	Foreign bool

	Kind          string
	Roots, Behind []int
}

type edge struct {
	From, To int
	Object   struct{ Kind, Addr string }
	Strength string
	Evidence string
}

type record struct {
	Type         string
	Kind         string
	Goroutines   []int
	Edges        []edge
	Edge         edge
	Number, Root int
}

type tier struct {
	name         string
	right, wrong int
}

var tiers = []*tier{
	{name: "exact: the lock's own state"},
	{name: "inferred: a deferred release is pending"},
	{name: "inferred: the code on the way to the frame"},
	{name: "inferred: the code, on some ways"},
	{name: "inferred: the only one who could"},
}

var (
	dumps, locks, owners, missed         int
	scenarios, found, intended           int
	behind, withRoot                     int
	chance, falseStuck                   int
	healthyDumps, falseHealthy, failures int
	labels                               = map[string]int{}
	portions                             int
	healthyKinds                         = map[string]int{}
	healthyReleases                      = map[string]map[string]int{}
	healthyBuilds                        = map[string]map[string]int{}
)

// The kinds of dumps of healthy programs, and what they are called in the table.
var kinds = []struct{ kind, title string }{
	{"kernel", "kernel"},
	{"gcore", "`gcore`"},
	{"own", "`dump`"},
	{"mini", "`dump -mini`"},
	{"live", "`--check -p`"},
	{"nostop", "`--check --no-stop -p`"},
	{"held", "`stop`, `deadlock`"},
}

func tierOf(e edge) *tier {
	switch {
	case e.Strength == "exact":
		return tiers[0]
	case strings.Contains(e.Evidence, "leads to this"):
		return tiers[4]
	case strings.Contains(e.Evidence, "some ways"):
		return tiers[3]
	case strings.HasPrefix(e.Evidence, "its deferred"):
		return tiers[1]
	}
	return tiers[2]
}

func complain(dir, format string, args ...any) {
	fmt.Printf("%s: %s\n", dir, fmt.Sprintf(format, args...))
}

func readLines(path string, each func(line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<28)
	for sc.Scan() {
		if len(sc.Bytes()) > 0 && sc.Bytes()[0] == '{' {
			if err := each(sc.Bytes()); err != nil {
				return err
			}
		}
	}
	return sc.Err()
}

func has(list []int, n int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

func inAll(list, all []int) bool {
	for _, x := range list {
		if !has(all, x) {
			return false
		}
	}
	return true
}

type run struct {
	dir      string
	locks    map[string]entry
	stuck    []entry
	verdicts []record
	edges    []edge
}

// isReach: an edge that says who could end a wait, not who has the lock.
func isReach(e edge) bool { return tierOf(e) == tiers[4] }

func isNext(e edge) bool { return strings.Contains(e.Evidence, "announced itself") }

func (r *run) owners() {
	type claim struct {
		addr string
		to   int
	}
	claims := map[claim]bool{}
	named := map[string]int{}
	for _, e := range r.edges {
		l, ok := r.locks[e.Object.Addr]
		c := claim{e.Object.Addr, e.To}
		if !ok || isReach(e) || claims[c] {
			continue
		}
		claims[c] = true
		t := tierOf(e)
		switch {
		case isNext(e):
			// It waits for the readers, and the others for it.
			if (len(l.Owners) > 0 || l.Foreign) && !has(l.Owners, e.To) {
				t.right++
				continue
			}
		case has(l.Owners, e.To):
			t.right++
			named[e.Object.Addr]++
			continue
		}
		t.wrong++
		complain(r.dir, "goroutine %d is no owner of %s %s (%v): %s", e.To, e.Object.Kind, c.addr, l.Owners, e.Evidence)
	}
	for addr, l := range r.locks {
		if l.Foreign || len(l.Owners) == 0 {
			continue
		}
		locks++
		owners += len(l.Owners)
		if n := len(l.Owners) - named[addr]; n > 0 {
			missed += n
			if verbose {
				complain(r.dir, "%d of the owners of %s (%v) are not found", n, addr, l.Owners)
			}
		}
	}
}

func counted(kind string) bool {
	return kind == "cycle" || kind == "self" || kind == "unreachable" || kind == "orphan-lock"
}

// isReal: every edge of it is by the book.
func (r *run) isReal(v record) bool {
	for _, e := range v.Edges {
		if !isNext(e) && !has(r.locks[e.Object.Addr].Owners, e.To) {
			return false
		}
	}
	return len(v.Edges) > 0
}

func (r *run) judge() {
	told := map[int]bool{}
	for _, v := range r.verdicts {
		for _, g := range v.Goroutines {
			told[g] = told[g] || counted(v.Kind) || v.Kind == "collateral"
		}
	}
	meant := map[int]bool{}
	for i, s := range r.stuck {
		scenarios++
		behind += len(s.Behind)
		stuck := true
		for _, g := range append(append([]int{}, s.Roots...), s.Behind...) {
			meant[g] = true
			stuck = stuck && told[g]
		}
		if stuck {
			found++
		} else {
			complain(r.dir, "scenario %d: not all of %v (%s) and %v behind are told of", i, s.Roots, s.Kind, s.Behind)
		}
		ok := false
		for _, v := range r.verdicts {
			if v.Kind != s.Kind || !inAll(s.Roots, v.Goroutines) ||
				!inAll(v.Goroutines, append(append([]int{}, s.Roots...), s.Behind...)) {
				continue
			}
			ok = true
			intended++
			for _, w := range r.verdicts {
				for _, g := range s.Behind {
					if has(w.Goroutines, g) && (w.Number == v.Number || w.Kind == "collateral" && w.Root == v.Number) {
						withRoot++
					}
				}
			}
			break
		}
		if ok || !verbose {
			continue
		}
		complain(r.dir, "scenario %d: no verdict %q of goroutines %v", i, s.Kind, s.Roots)
		for _, v := range r.verdicts {
			for _, g := range v.Goroutines {
				if has(s.Roots, g) {
					complain(r.dir, "  but %q of %v", v.Kind, v.Goroutines)
					break
				}
			}
		}
	}
	for _, v := range r.verdicts {
		if !counted(v.Kind) {
			continue
		}
		wrong := false
		for _, g := range v.Goroutines {
			wrong = wrong || !meant[g]
		}
		if wrong && r.isReal(v) {
			chance++
		} else if wrong {
			falseStuck++
			complain(r.dir, "false: %q of goroutines %v", v.Kind, v.Goroutines)
		}
	}
}

func score(dir string) error {
	r := run{dir: dir, locks: map[string]entry{}}
	err := readLines(filepath.Join(dir, "book"), func(line []byte) error {
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		if e.Kind != "" {
			r.stuck = append(r.stuck, e)
		} else if e.Addr != "0x0" {
			r.locks[e.Addr] = e
		}
		return nil
	})
	if err == nil {
		err = readLines(filepath.Join(dir, "verdicts"), func(line []byte) error {
			var x record
			if !strings.HasPrefix(string(line), `{"type":"verdict"`) && !strings.HasPrefix(string(line), `{"type":"wait"`) {
				return nil
			}
			if err := json.Unmarshal(line, &x); err != nil {
				return err
			}
			switch x.Type {
			case "verdict":
				r.verdicts = append(r.verdicts, x)
			case "wait":
				r.edges = append(r.edges, x.Edge)
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	if len(r.locks) == 0 || len(r.edges) == 0 {
		return fmt.Errorf("no locks in the book, or no waits")
	}
	dumps++
	r.owners()
	r.judge()
	return nil
}

func list(m map[string]int) string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	for i, n := range names {
		names[i] = fmt.Sprintf("%s (%d)", n, m[n])
	}
	return strings.Join(names, ", ")
}

func percent(n, of int) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(n)/float64(of))
}

func report() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("%d dumps of stuck programs, %d locks that are waited for, %d owners by the programs' own books.\n\n", dumps, locks, owners)
	p("| evidence | right | wrong | precision |\n|---|---:|---:|---:|\n")
	wrong := 0
	for _, t := range tiers[:4] {
		p("| %s | %d | %d | %s |\n", t.name, t.right, t.wrong, percent(t.right, t.right+t.wrong))
		wrong += t.wrong
	}
	p("\nOwners that are not found: %d (%s).\n", missed, percent(missed, owners))
	p("Scenarios that are stuck on purpose: %d, told of as stuck: %d (%s), with the intended root: %d (%s).\n",
		scenarios, found, percent(found, scenarios), intended, percent(intended, scenarios))
	p("Goroutines that queue behind these: %d, found behind their root: %d (%s).\n", behind, withRoot, percent(withRoot, behind))
	p("Deadlocks that came about by chance, and are real by the book: %d. False ones: %d.\n", chance, falseStuck)
	p("\nStuck programs: %s.\n", list(labels))
	return b.String()
}

// older compares the numbers of two releases.
func older(a, b string) bool {
	x, y := strings.Split(strings.TrimPrefix(a, "go"), "."), strings.Split(strings.TrimPrefix(b, "go"), ".")
	for i := 0; i < len(x) && i < len(y); i++ {
		m, errM := strconv.Atoi(x[i])
		n, errN := strconv.Atoi(y[i])
		if errM == nil && errN == nil && m != n {
			return m < n
		}
	}
	return a < b
}

func reportHealthy() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("Dumps of healthy programs under load: %d", healthyDumps)
	if portions > 1 {
		p(" (put together from %d runs)", portions)
	}
	p(", false verdicts: %d.\n\n|", falseHealthy)
	var there []string
	for _, k := range kinds {
		if healthyKinds[k.kind] > 0 {
			there = append(there, k.kind)
			p(" | %s", k.title)
		}
	}
	p(" | all |\n|---|")
	for range there {
		p("---:|")
	}
	p("---:|\n")
	row := func(name string, counts map[string]int) {
		all := 0
		p("| %s", name)
		for _, k := range there {
			p(" | %d", counts[k])
			all += counts[k]
		}
		p(" | %d |\n", all)
	}
	rows := func(m map[string]map[string]int) {
		var names []string
		for n := range m {
			names = append(names, n)
		}
		sort.Slice(names, func(i, j int) bool { return older(names[i], names[j]) })
		for _, n := range names {
			row(n, m[n])
		}
	}
	rows(healthyReleases)
	rows(healthyBuilds)
	row("all", healthyKinds)
	return b.String()
}

// count adds a line of DIR/healthy.
func count(line string) {
	f := strings.Fields(line)
	known := false
	for _, k := range kinds {
		known = known || len(f) == 4 && f[2] == k.kind
	}
	if !known {
		failures++
		complain("healthy", "%q is not understood", line)
		return
	}
	switch f[3] {
	case "0":
	case "1":
		falseHealthy++
	default:
		failures++
		complain(line, "--check could not tell")
		return
	}
	healthyDumps++
	healthyKinds[f[2]]++
	for _, m := range []struct {
		in  map[string]map[string]int
		key string
	}{{healthyReleases, f[0]}, {healthyBuilds, f[1]}} {
		if m.in[m.key] == nil {
			m.in[m.key] = map[string]int{}
		}
		m.in[m.key][f[2]]++
	}
}

// writeDocs writes text between the marks of that name.
func writeDocs(path, name, text string) error {
	from, to := "<!-- "+name+" begins -->\n", "<!-- "+name+" ends -->\n"
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s := string(old)
	i, j := strings.Index(s, from), strings.Index(s, to)
	if i < 0 || j < i {
		return fmt.Errorf("%s has no marks for the numbers: %s", path, name)
	}
	return os.WriteFile(path, []byte(s[:i+len(from)]+"\n"+text+"\n"+s[j:]), 0o644)
}

var verbose bool

func main() {
	docs := flag.String("docs", "", "write the numbers into `FILE`")
	flag.BoolVar(&verbose, "v", false, "tell of owners that are not found")
	flag.Parse()
	for _, dir := range flag.Args() {
		books, _ := filepath.Glob(filepath.Join(dir, "*", "book"))
		for _, d := range books {
			d = filepath.Dir(d)
			if err := score(d); err != nil {
				complain(d, "%v", err)
				failures++
				continue
			}
			label, _ := os.ReadFile(filepath.Join(d, "label"))
			labels[strings.TrimSpace(string(label))]++
		}
		if f, err := os.ReadFile(filepath.Join(dir, "healthy")); err == nil {
			portions++
			for _, line := range strings.Split(strings.TrimSpace(string(f)), "\n") {
				count(line)
			}
		}
	}
	for _, r := range []struct {
		dumps int
		name  string
		text  func() string
	}{{dumps, "test-waits", report}, {healthyDumps, "test-waits healthy", reportHealthy}} {
		if r.dumps == 0 {
			continue
		}
		text := r.text()
		fmt.Print("\n" + text)
		if *docs == "" {
			continue
		}
		if err := writeDocs(*docs, r.name, text); err != nil {
			fmt.Println(err)
			os.Exit(2)
		}
	}
	wrong := falseStuck + falseHealthy + failures
	for _, t := range tiers {
		wrong += t.wrong
	}
	if 100*missed > 3*owners {
		fmt.Println("too many owners are not found")
		wrong++
	}
	// Running goroutines' stacks may hide one (docs/wait-graph.md): one in a hundred, and in a short
	// run a few more.
	if missing := scenarios - found; missing > scenarios/100+2 {
		fmt.Println("too many stuck scenarios are not told of")
		wrong++
	}
	if other := scenarios - intended; other > scenarios/50+3 {
		fmt.Println("too many roots are not the intended ones")
		wrong++
	}
	passed := locks + found + intended + healthyDumps
	fmt.Printf("\n%d passed, %d failed\n", passed, wrong)
	if wrong > 0 || passed == 0 {
		os.Exit(1)
	}
}
