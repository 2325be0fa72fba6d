void stay(int deep);
