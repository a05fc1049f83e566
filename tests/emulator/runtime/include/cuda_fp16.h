// Nothing: kernel.hpp comes before every source and has it all.
#pragma once
