/* SPDX-License-Identifier: Apache-2.0 */
#include "simulator/fiber.h"

#include <ucontext.h>

#include "base/mem.h"

#ifdef __SANITIZE_ADDRESS__
#    include <sanitizer/common_interface_defs.h>
#endif

#define STACK_BYTES (1u << 20)

/* A stack that is not in use; clearing a new one for each fiber would take longer than what runs on it. */
static uint8_t *spare;

struct fiber {
    void (*run)(void *context);
    void *context;
    ucontext_t here, caller;
    uint8_t *stack;
    bool is_over;
    /* The address sanitizer wants to be told who stands on which stack. */
    void *own_fake, *caller_fake;
    const void *caller_stack;
    size_t caller_bytes;
};

static void leaves(void **keep, const void *bottom, size_t bytes)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(keep, bottom, bytes);
#else
    (void)keep, (void)bottom, (void)bytes;
#endif
}

static void has_come(void *kept, const void **from, size_t *bytes)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(kept, from, bytes);
#else
    (void)kept, (void)from, (void)bytes;
#endif
}

/* A context is begun with numbers alone: two of them are the address. */
static void begin(unsigned low, unsigned high)
{
    struct fiber *f = (struct fiber *)((uintptr_t)high << 32 | (uintptr_t)low);
    has_come(NULL, &f->caller_stack, &f->caller_bytes);
    f->run(f->context);
    f->is_over = true;
    leaves(NULL, f->caller_stack, f->caller_bytes);
    (void)swapcontext(&f->here, &f->caller);
}

struct fiber *fiber_new(void (*run)(void *context), void *context)
{
    struct fiber *f = mem_new(sizeof(*f));
    f->run = run;
    f->context = context;
    f->stack = spare != NULL ? spare : mem_new(STACK_BYTES);
    spare = NULL;
    must(getcontext(&f->here) == 0);
    f->here.uc_stack.ss_sp = f->stack;
    f->here.uc_stack.ss_size = STACK_BYTES;
    f->here.uc_link = NULL;
    uintptr_t at = (uintptr_t)f;
    makecontext(&f->here, (void (*)(void))(void *)begin, 2, (unsigned)at, (unsigned)(at >> 32));
    return f;
}

bool fiber_resume(struct fiber *f)
{
    must(!f->is_over);
    leaves(&f->caller_fake, f->stack, STACK_BYTES);
    must(swapcontext(&f->caller, &f->here) == 0);
    has_come(f->caller_fake, NULL, NULL);
    return !f->is_over;
}

void fiber_pause(struct fiber *f)
{
    leaves(&f->own_fake, f->caller_stack, f->caller_bytes);
    must(swapcontext(&f->here, &f->caller) == 0);
    has_come(f->own_fake, &f->caller_stack, &f->caller_bytes);
}

void fiber_free(struct fiber *f)
{
    if (f == NULL)
        return;
    mem_free(spare);
    spare = f->stack;
    mem_free(f);
}
