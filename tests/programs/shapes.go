// SPDX-License-Identifier: Apache-2.0

// Interface calls, small functions, recursion, generics: what Go's compiler makes use of a profile for.
//
//	shapes N [PROFILE]	N rounds; PROFILE: a CPU profile of them
package main

import (
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
)

type shape interface{ area(int) int }
type square struct{ side int }
type circle struct{ r int }

func (s square) area(k int) int { return s.side*s.side + k }
func (c circle) area(k int) int { return c.r*c.r*3 - k }

//go:noinline
func total(shapes []shape, k int) int {
	sum := 0
	for _, s := range shapes {
		sum += s.area(k)
	}
	return sum
}

// Too large to be inlined without a reason.
func mix(a, b int) int {
	for i := 0; i < 3; i++ {
		a = a*31 + b
		b = b ^ (a >> 3)
		if a&7 == 3 {
			b += a
		} else if b&15 == 2 {
			a -= b
		}
		if b%11 == 5 {
			a ^= b << 2
		}
		if a%13 == 7 {
			b -= a >> 1
		}
		a += distance(a, b)
	}
	return a ^ b
}

func distance(a, b int) int {
	if a > b {
		return a - b
	}
	return b - a
}

//go:noinline
func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func largest[T int | float64](v []T) T {
	m := v[0]
	for _, x := range v {
		if x > m {
			m = x
		}
	}
	return m
}

//go:noinline
func work(n int) int {
	shapes := make([]shape, 1000)
	for i := range shapes {
		if i%50 == 0 {
			shapes[i] = circle{i}
		} else {
			shapes[i] = square{i}
		}
	}
	sums := make([]int, 16)
	sum := 0
	for i := 0; i < n; i++ {
		sum += total(shapes, i)
		for k := 0; k < 100; k++ {
			sum = mix(sum, k)
		}
		sums[i%16] = sum
		sum += largest(sums)
	}
	return sum + fib(20)
}

func main() {
	n, _ := strconv.Atoi(os.Args[1])
	if len(os.Args) > 2 {
		f, err := os.Create(os.Args[2])
		if err != nil {
			panic(err)
		}
		pprof.StartCPUProfile(f)
		defer pprof.StopCPUProfile()
	}
	fmt.Println(work(n))
}
