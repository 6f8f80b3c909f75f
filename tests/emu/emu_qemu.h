/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of QEMU's TCG plugin interface, API version 1 (QEMU 6.0 and later), that ring_plugin
 * calls. Distributions ship the interface inside the emulator but no header for it, so the names,
 * argument orders and enum values it exports are declared here. Only user-mode emulation is meant.
 *
 * Pointers to struct qemu_plugin_tb and _insn are valid only inside the translation callback.
 */
#ifndef TESTS_EMU_QEMU_H
#define TESTS_EMU_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EMU_EXPORT __attribute__((visibility("default")))
#define EMU_QEMU_API 1

struct qemu_plugin_tb;
struct qemu_plugin_insn;

/* What the emulator tells about itself when it loads a plugin. */
struct emu_qemu_info {
	const char *target_name; /* "x86_64", "aarch64", ... */
	struct {
		int min, cur;
	} version;
	bool system_emulation;
	union {
		struct {
			int smp_vcpus, max_vcpus;
		} system;
	};
};

/* Promise of a callback about guest registers; 0 = touches none, so none are written back. */
#define EMU_QEMU_CB_NO_REGS 0

typedef uint64_t emu_qemu_id;
typedef void (*emu_qemu_vcpu_fn)(emu_qemu_id id, unsigned vcpu);
typedef void (*emu_qemu_trans_fn)(emu_qemu_id id, struct qemu_plugin_tb *tb);
typedef void (*emu_qemu_exec_fn)(unsigned vcpu, void *data);
typedef void (*emu_qemu_exit_fn)(emu_qemu_id id, void *data);
typedef void (*emu_qemu_syscall_fn)(emu_qemu_id id, unsigned vcpu, int64_t num, uint64_t a1,
	uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);
typedef void (*emu_qemu_sysret_fn)(emu_qemu_id id, unsigned vcpu, int64_t num, int64_t ret);

void qemu_plugin_register_vcpu_init_cb(emu_qemu_id id, emu_qemu_vcpu_fn fn);
void qemu_plugin_register_vcpu_tb_trans_cb(emu_qemu_id id, emu_qemu_trans_fn fn);
void qemu_plugin_register_vcpu_tb_exec_cb(
	struct qemu_plugin_tb *tb, emu_qemu_exec_fn fn, int regs, void *data);
void qemu_plugin_register_vcpu_syscall_cb(emu_qemu_id id, emu_qemu_syscall_fn fn);
void qemu_plugin_register_vcpu_syscall_ret_cb(emu_qemu_id id, emu_qemu_sysret_fn fn);
void qemu_plugin_register_atexit_cb(emu_qemu_id id, emu_qemu_exit_fn fn, void *data);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
void *qemu_plugin_insn_haddr(const struct qemu_plugin_insn *insn);

#endif
