#include <stdexcept>

static volatile int after;

extern "C" __attribute__((noinline)) void throw_c(int n)
{
	if (n)
		throw std::runtime_error("nobody catches this");
	after++;
}

extern "C" void enter_c(void)
{
	throw_c(1);
	after++;
}
