/* SPDX-License-Identifier: Apache-2.0 */
/* Sorting and top-k for any type and order; deterministic as long as the order is total. */
#ifndef QSORT_HPP
#define QSORT_HPP

#include <cstddef>
#include <utility>
#include <vector>

namespace quarry
{

template <class T, class Less> void sift(T *a, size_t at, size_t n, Less less)
{
	T v = std::move(a[at]);

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= n)
			break;
		if (child + 1 < n && less(a[child], a[child + 1]))
			child++;
		if (!less(v, a[child]))
			break;
		a[at] = std::move(a[child]);
		at = child;
	}
	a[at] = std::move(v);
}

template <class T, class Less> void heap_sort(T *a, size_t n, Less less)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(a, i, n, less);
	while (n > 1) {
		n--;
		std::swap(a[0], a[n]);
		sift(a, 0, n, less);
	}
}

template <class T, class Less> void insertion_sort(T *a, size_t n, Less less)
{
	for (size_t i = 1; i < n; i++) {
		T v = std::move(a[i]);
		size_t at = i;

		for (; at && less(v, a[at - 1]); at--)
			a[at] = std::move(a[at - 1]);
		a[at] = std::move(v);
	}
}

template <class T, class Less> size_t partition(T *a, size_t n, Less less)
{
	size_t mid = n / 2, i = 0, j = n - 1;

	if (less(a[mid], a[0]))
		std::swap(a[mid], a[0]);
	if (less(a[n - 1], a[mid])) {
		std::swap(a[n - 1], a[mid]);
		if (less(a[mid], a[0]))
			std::swap(a[mid], a[0]);
	}
	std::swap(a[mid], a[n - 2]);
	j = n - 2;
	for (;;) {
		while (less(a[++i], a[n - 2])) {
		}
		while (less(a[n - 2], a[--j])) {
		}
		if (i >= j)
			break;
		std::swap(a[i], a[j]);
	}
	std::swap(a[i], a[n - 2]);
	return i;
}

template <class T, class Less> void sort_depth(T *a, size_t n, Less less, unsigned depth)
{
	while (n > 12) {
		size_t at;

		if (!depth--) { /* somebody's input defeats the median of three */
			heap_sort(a, n, less);
			return;
		}
		at = partition(a, n, less);
		if (at < n - at) {
			sort_depth(a, at, less, depth);
			a += at + 1;
			n -= at + 1;
		} else {
			sort_depth(a + at + 1, n - at - 1, less, depth);
			n = at;
		}
	}
	insertion_sort(a, n, less);
}

template <class T, class Less> void sort(T *a, size_t n, Less less)
{
	unsigned depth = 2;

	for (size_t i = n; i > 1; i /= 2)
		depth += 2;
	sort_depth(a, n, less, depth);
}

/* The k first of what is offered; the heap's root is the last of them. */
template <class T, class Less> class TopK
{
      public:
	TopK(size_t k, Less less) : k_(k), less_(less)
	{
		heap_.reserve(k);
	}

	void offer(const T &v)
	{
		if (heap_.size() < k_) {
			heap_.push_back(v);
			if (heap_.size() == k_)
				for (size_t i = k_ / 2; i-- > 0;)
					sift(heap_.data(), i, k_, less_);
			return;
		}
		if (k_ && less_(v, heap_[0])) {
			heap_[0] = v;
			sift(heap_.data(), 0, k_, less_);
		}
	}

	std::vector<T> take()
	{
		sort(heap_.data(), heap_.size(), less_);
		return std::move(heap_);
	}

      private:
	size_t k_;
	Less less_;
	std::vector<T> heap_;
};

} // namespace quarry
#endif
